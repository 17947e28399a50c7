from __future__ import annotations

import subprocess
import sys

import pytest
from dynamic_network_architectures.architectures.unet import PlainConvUNet, ResidualEncoderUNet
from torch import nn

from handbone_cli import HandboneError
from handbone_models.nnunet_plan import (
    RESENC,
    Stages,
    plain_values,
    plan,
    plan_resenc,
    plan_stages,
    resenc_blocks,
    resenc_values,
    stages_of,
)

WHOLE = (32, 64, 128, 256, 512, 512, 512, 512, 512)
LARGE = {"classes": 2, "images": None}


@pytest.mark.parametrize(
    ("patch", "stages", "divisors"),
    [
        ((512, 512), 8, (128, 128)),  # nnU-Net's 2D plans of CT slices: 4 px at the eighth stage
        ((256, 224), 6, (32, 32)),
        ((320, 256), 7, (64, 64)),
        ((40, 192), 6, (8, 32)),
        ((1024, 1024), 9, (256, 256)),
        ((32, 32), 4, (8, 8)),
        ((8, 8), 2, (2, 2)),
        ((15, 15), 3, (4, 4)),  # 15 -> 8 -> 4: odd sides are padded
        ((11, 8), 2, (2, 2)),
        ((1024, 256), 8, (128, 64)),  # 16 x 4 after six halvings: one axis alone, from 12 px
        ((704, 256), 7, (64, 64)),  # 11 x 4: no further
    ],
)
def test_stages_of_a_patch(patch, stages, divisors):
    planned = plan_stages(patch)
    assert planned.features == WHOLE[:stages]
    assert len(planned.strides) == stages
    assert planned.strides[0] == (1, 1)
    assert planned.divisors == divisors


def test_areas_of_the_stages():
    assert Stages((1, 1, 1), ((1, 1), (2, 2), (2, 1))).areas((16, 8)) == [128, 32, 16]


def test_blocks_of_the_stages():
    assert resenc_blocks(2) == (1, 3)
    assert resenc_blocks(9) == (1, 3, 4, 6, 6, 6, 6, 6, 6)


@pytest.mark.parametrize("patch", [(64, 64), (96, 32), (160, 256)])
@pytest.mark.parametrize("classes", [1, 29])
def test_values_are_counted_as_the_networks_themselves_count_them(patch, classes):
    strides = plan_stages(patch).strides
    stages = Stages((3, 5, 6, 7, 8, 8, 8)[: len(strides)], strides)
    common = {
        "input_channels": 1,
        "n_stages": len(stages.features),
        "features_per_stage": stages.features,
        "conv_op": nn.Conv2d,
        "kernel_sizes": 3,
        "strides": [list(step) for step in stages.strides],
        "num_classes": classes,
    }
    count = len(stages.features)
    plain = PlainConvUNet(**common, n_conv_per_stage=2, n_conv_per_stage_decoder=2)
    residual = ResidualEncoderUNet(
        **common,
        n_blocks_per_stage=(1, 3, 4, 6, 6, 6, 6)[:count],
        n_conv_per_stage_decoder=1,
    )
    assert plain_values(stages, patch, classes) == plain.compute_conv_feature_map_size(patch)
    assert resenc_values(stages, patch, classes) == residual.compute_conv_feature_map_size(patch)


def test_values_by_hand():
    # Two stages: (2 + 2) x 32 and one way up of 32 at 64 px, 2 x 64 at 16 px, 3 classes.
    assert plain_values(stages_of((32, 64)), (8, 8), 3) == 5 * 32 * 64 + 2 * 64 * 16 + 3 * 64
    # Stem, one block of two; three blocks and the way past them; one convolution and the way up.
    assert resenc_values(stages_of((32, 64)), (8, 8), 3) == (
        3 * 32 * 64 + 7 * 64 * 16 + 2 * 32 * 64 + 3 * 64
    )


@pytest.mark.parametrize(
    ("planner", "side", "memory", "patch", "batch"),
    # As nnunetv2 2.8.1 plans 300 square images of one channel, where its patch is square.
    [
        (plan, 128, 8, 128, 15),
        (plan, 512, 8, 512, 12),
        (plan, 600, 8, 640, 8),
        (plan, 1024, 8, 1024, 3),
        (plan, 1024, 16, 1024, 6),
        (plan_resenc, 256, 8, 256, 50),
        (plan_resenc, 1024, 8, 512, 13),
        (plan_resenc, 128, 24, 128, 300),
        (plan_resenc, 512, 24, 512, 35),
        (plan_resenc, 600, 24, 640, 23),
        (plan_resenc, 1024, 40, 1024, 13),
    ],
)
def test_plans_are_those_of_nnunet(planner, side, memory, patch, batch):
    tables, facts = planner(image=(side, side), memory=memory, classes=2, images=300)
    assert tables["data"]["patch"] == patch
    assert tables["train"]["batch_size"] == batch
    assert tables["model"]["features"] == list(plan_stages((patch, patch)).features)
    assert facts["stages"] == len(tables["model"]["features"])
    assert facts["last_stage_px"] == patch // plan_stages((patch, patch)).divisors[0]


def test_a_patch_that_does_not_fit_shrinks():
    # 2 x 512 x 512 planes a side of 2048 px: 16 times the values of 512 px, of which 12 fit 8 GB.
    tables, facts = plan(image=(2048, 2048), memory=8, **LARGE)
    assert tables == {
        "data": {"patch": 1024},
        "model": {"name": "nnunet", "features": list(WHOLE)},
        "train": {"batch_size": 3},
        "predict": {"window": 1024, "stride": 512},
    }
    assert facts["feature_map_values"] == plain_values(plan_stages((1024, 1024)), (1024, 1024), 2)
    share = 3 * facts["feature_map_values"] / (12 * 85e6)
    assert facts["estimated_memory_gb"] == round(8 * share, 1) == 7.8
    assert facts["largest_batch_within_memory"] == 3


def test_no_valid_side_is_stepped_over():
    # 256 - 64 = 192 would skip 224, which five halvings divide too.
    sides = {
        plan(image=(256, 256), memory=gigabytes / 100, **LARGE)[0]["data"]["patch"]
        for gigabytes in range(20, 40)
    }
    assert {256, 224, 192} <= sides


def test_the_shorter_side_bounds_the_patch():
    assert plan(image=(2048, 500), memory=8, **LARGE)[0]["data"]["patch"] == 512
    assert plan(image=(500, 2048), memory=8, **LARGE)[0]["data"]["patch"] == 512


def test_no_patch_is_over_2048():
    assert plan(image=(4096, 4096), memory=1000, **LARGE)[0]["data"]["patch"] == 2048


def test_more_memory_is_more_pixels_a_step():
    steps = [
        plan_resenc(image=(3000, 3000), memory=gigabytes, **LARGE)[1]["feature_map_values"]
        for gigabytes in range(4, 100, 4)
    ]
    assert steps == sorted(steps)


def test_budgets_are_the_published_ones_and_lie_on_a_line_between():
    points = {0: 0, 4: 67.5e6, 8: 135e6, 16: 257.5e6, 24: 380e6, 40: 560e6, 80: 1120e6}
    assert {memory: RESENC.budget(memory) for memory in points} == pytest.approx(points)


def test_more_classes_take_more_memory():
    few, many = (plan(image=(512, 512), memory=8, classes=c, images=None) for c in (1, 100))
    assert few[0]["train"]["batch_size"] > many[0]["train"]["batch_size"]


@pytest.mark.parametrize(
    ("images", "batch"),
    [(1, 2), (40, 2), (100, 5), (160, 8), (1000, 12)],
)
def test_a_batch_holds_at_most_a_twentieth_of_the_data(images, batch):
    tables, _ = plan(image=(512, 512), memory=8, classes=2, images=images)
    assert tables["train"]["batch_size"] == batch


def test_a_batch_of_the_residual_presets_may_hold_all_of_the_data():
    tables, _ = plan_resenc(image=(512, 512), memory=8, classes=2, images=5)
    assert tables["train"]["batch_size"] == 5


def test_batches_are_rounded_and_what_fits_is_said():
    _, facts = plan(image=(2048, 2048), memory=16, classes=29, images=None)
    assert facts["estimated_memory_gb"] == 19.0
    assert facts["largest_batch_within_memory"] == 2


@pytest.mark.parametrize(
    ("image", "memory", "message"),
    [
        (
            (2000, 1500),
            0.001,
            "images of 2000 x 1500 px and 0.001 GB leave patches of 28 px",
        ),
        (
            (20, 900),
            8,
            "images of 20 x 900 px and 8 GB leave patches of 20 px",
        ),
    ],
)
def test_what_leaves_no_patch_is_refused(image, memory, message):
    with pytest.raises(HandboneError) as caught:
        plan(image=image, memory=memory, **LARGE)
    rest = ", and data.patch takes 32 or more; give larger images or more memory."
    assert str(caught.value) == message + rest


@pytest.mark.parametrize("memory", [1e-9, 1e-5])
@pytest.mark.parametrize("side", [1, 3, 31, 33, 2048])
def test_the_search_ends(side, memory):
    with pytest.raises(HandboneError):
        plan(image=(side, side), memory=memory, **LARGE)


def test_plans_and_options_need_no_torch():
    code = (
        "import sys, handbone_models.nnunet_plan, handbone_models.nnunet_options\n"
        "import handbone_models.hrnet_options, handbone_models.fcn_options\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
