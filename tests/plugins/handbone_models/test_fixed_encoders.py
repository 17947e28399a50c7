from __future__ import annotations

import pytest
import torch

from handbone_cli import ModelContext
from handbone_cli.host.registry import installed
from handbone_models import fixed_encoders

PUBLISHED = [
    *(f"segformer_b{size}" for size in range(6)),
    *(f"upernet_swin_{size}" for size in ("tiny", "small", "base")),
    *(f"upernet_convnext_{size}" for size in ("tiny", "small", "base", "large")),
]
UNETS = [f"unet_mit_b{size}" for size in range(6)]
UNETS += [f"unet_efficientnet_b{size}" for size in range(8)]


def build(name, channels=1, **options):
    component = installed().get("models", name)
    with torch.device("meta"):
        return component.builder()(component.options_type()(**options), ModelContext(150, channels))


def millions(module):
    return sum(each.numel() for each in module.parameters()) / 1e6


def test_every_model_is_built_under_its_name_on_its_encoder():
    registered = installed().components["models"].values()
    here = [each for each in registered if "fixed_encoders:" in str(each.factory)]
    assert {each.name for each in here} == {*PUBLISHED, *UNETS}
    encoders = {each.name: each.builder().keywords["encoder"] for each in here}
    assert encoders["segformer_b5"] == encoders["unet_mit_b5"] == "mit_b5"
    assert encoders["unet_efficientnet_b7"] == "efficientnet-b7"
    assert encoders["upernet_swin_base"] == "tu-swin_base_patch4_window7_224"
    assert encoders["upernet_convnext_large"] == "tu-convnext_large"
    assert len(set(encoders.values())) == len(encoders) - 6  # SegFormer's in both decoders
    for each in here:
        assert each.builder().keywords["name"] == each.name
        assert each.name.rpartition("_")[2] in encoders[each.name]
        assert "encoder" not in each.options_type().model_fields


@pytest.mark.parametrize("name", ["build_segformer_b6", "segformer_b0", "build_unet_mit_b00"])
def test_no_other_name_has_a_builder(name):
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
        getattr(fixed_encoders, name)


def test_unets_grow_with_their_encoders():
    for family in ("unet_mit_b", "unet_efficientnet_b"):
        sizes = [millions(build(f"{family}{size}").encoder) for size in (0, 1)]
        assert sizes[0] < sizes[1]


def test_the_last_block_is_skipped_most():
    for name, given, skipped in (
        ("upernet_swin_tiny", {"drop_path": 0.25}, 0.25),
        ("upernet_convnext_tiny", {}, 0.4),
    ):
        rates = [getattr(each, "drop_prob", 0) for each in build(name, **given).modules()]
        assert max(rate for rate in rates if rate) == pytest.approx(skipped)


def test_blocks_are_skipped_as_often_as_in_the_papers_configurations():
    def default(name):
        return installed().get("models", name).options_type()().drop_path

    assert [default(f"upernet_swin_{size}") for size in ("tiny", "small", "base")] == [0.3] * 3
    sizes = ("tiny", "small", "base", "large")
    assert [default(f"upernet_convnext_{size}") for size in sizes] == [0.4, 0.3, 0.4, 0.4]


def test_swin_shifts_its_windows_in_every_stage():
    blocks = [each for each in build("upernet_swin_tiny").modules() if hasattr(each, "shift_size")]
    assert [tuple(block.shift_size) for block in blocks] == [(0, 0), (3, 3)] * 6
