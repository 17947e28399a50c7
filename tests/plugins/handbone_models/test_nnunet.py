from __future__ import annotations

import pytest
import torch
from safetensors.torch import save
from torch import nn

from handbone_cli import HandboneError, ModelContext
from handbone_cli.testing import check_model
from handbone_models.nnunet import build
from handbone_models.nnunet_network import choose_stages
from handbone_models.nnunet_options import NnunetOptions

SMALL = NnunetOptions(features=(4, 8, 8), convs_per_stage=1)
DEEP = NnunetOptions(features=(4, 8, 8, 6, 6), convs_per_stage=1, deep_supervision=True)
CONTEXT = ModelContext(classes=5, in_channels=2, patch=(24, 16))


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


@pytest.mark.parametrize("options", [SMALL, DEEP])
@pytest.mark.parametrize("classes", [1, 9])
def test_it_does_what_a_model_must(options, classes):
    context = ModelContext(classes=classes, in_channels=2, patch=(48, 32))
    check_model(build, options, context, divisor=32, sizes=((33, 47), (5, 3)))


@pytest.mark.parametrize(("features", "divisor"), [((4, 4), 2), ((4, 8, 8), 4), ((2,) * 6, 32)])
def test_the_divisor_follows_from_the_stages(features, divisor):
    options = NnunetOptions(features=features, convs_per_stage=1)
    model = build(options, ModelContext(classes=1, patch=(64, 64)))
    assert (model.divisor, model.minimum) == (divisor, divisor + 1)
    assert model(torch.zeros(1, 1, 2 * divisor, divisor)).shape == (1, 1, 2 * divisor, divisor)


def test_a_single_pixel_at_the_last_stage_cannot_be_normalised():
    model = build(SMALL, CONTEXT)
    with pytest.raises(ValueError, match="more than 1 spatial element"):
        model(torch.zeros(1, 2, model.minimum - 1, model.minimum - 1))


@pytest.mark.parametrize(
    ("norm", "layer"), [("instance", nn.InstanceNorm2d), ("batch", nn.BatchNorm2d)]
)
def test_convolutions_and_norms_are_those_that_nnunet_plans(norm, layer):
    options = NnunetOptions(features=(4, 8, 8), convs_per_stage=2, norm=norm)
    model = build(options, CONTEXT)
    *blocks, head = convolutions(model)
    assert [block.kernel_size for block in blocks] == [(3, 3)] * 10
    assert [block.out_channels for block in blocks] == [4, 4, 8, 8, 8, 8, 8, 8, 4, 4]
    assert all(block.bias is not None for block in blocks)
    assert sorted(block.stride for block in blocks)[-3:] == [(1, 1), (2, 2), (2, 2)]
    assert head.kernel_size == (1, 1)
    norms = [module for module in model.modules() if isinstance(module, layer)]
    assert len(norms) == 10
    assert all(each.affine and each.eps == 1e-5 for each in norms)
    slopes = {m.negative_slope for m in model.modules() if isinstance(m, nn.LeakyReLU)}
    assert slopes == {0.01}


def test_weights_start_as_he_has_it():
    model = build(NnunetOptions(features=(64, 64), convs_per_stage=2), CONTEXT)
    weight = convolutions(model)[1].weight
    assert weight.std().item() == pytest.approx((2 / (1 + 0.01**2) / (64 * 9)) ** 0.5, rel=0.02)
    assert convolutions(model)[1].bias.abs().max() == 0


@pytest.mark.parametrize("options", [SMALL, DEEP])
def test_the_state_dict_goes_into_safetensors_and_back(options):
    model, other = build(options, CONTEXT).eval(), build(options, CONTEXT).eval()
    save(model.state_dict())
    other.load_state_dict(model.state_dict())
    images = torch.randn(1, 2, 48, 32)
    assert torch.equal(model(images), other(images))


def test_deep_supervision_gives_every_resolution_but_the_lowest():
    model = build(DEEP, CONTEXT)
    full, *coarser = model(torch.randn(2, 2, 48, 32))
    assert full.shape == (2, 5, 48, 32)
    assert [each.shape for each in coarser] == [(2, 5, 24, 16), (2, 5, 12, 8)]
    assert [each.in_channels for each in model.decoder.seg_layers] == [4, 8, 8]
    assert getattr(model, "output_weights", None) is None  # the wrapper's: 1, 1/2, 1/4 ...


def test_deep_supervision_is_of_training_alone():
    model, images = build(DEEP, CONTEXT), torch.randn(1, 2, 48, 32)
    assert torch.equal(model.eval()(images), model.train()(images)[0])


def test_a_model_trained_without_deep_supervision_can_start_one_with_it():
    plain = build(DEEP.model_copy(update={"deep_supervision": False}), CONTEXT).eval()
    deep = build(DEEP, CONTEXT).eval()
    missing = deep.load_state_dict(plain.state_dict(), strict=False)
    assert missing.unexpected_keys == []
    assert {name.split(".")[2] for name in missing.missing_keys} == {"1", "2"}
    images = torch.randn(1, 2, 48, 32)
    assert torch.equal(plain(images), deep(images))


def test_deep_supervision_of_one_resolution_is_refused():
    options = NnunetOptions(features=(4, 8, 8), deep_supervision=True)
    with pytest.raises(HandboneError) as caught:
        build(options, CONTEXT)
    assert str(caught.value) == (
        "model 'nnunet': deep_supervision = true needs at least 4 stages, and there are 3; "
        "give `features` more entries, or leave it out."
    )
    assert (
        len(
            build(NnunetOptions(features=(4,) * 4, deep_supervision=True), CONTEXT)(
                torch.randn(1, 2, 16, 16)
            )
        )
        == 2
    )


@pytest.mark.parametrize("patch", [(32, 32), (64, 16)])  # down to 4 x 4, and to 8 x 4
def test_a_plan_follows_from_the_patch(patch):
    model = build(NnunetOptions(plan=True), ModelContext(classes=3, patch=patch))
    assert model.encoder.output_channels == (32, 64, 128, 256)
    assert model.divisor == 8
    assert model(torch.zeros(1, 1, *patch)).shape == (1, 3, *patch)
    assert model.encoder(torch.zeros(1, 1, *patch))[-1].shape[-2:] == (patch[0] // 8, 4)


def test_a_network_without_features_or_plan_has_six_stages():
    stages = choose_stages(NnunetOptions(), CONTEXT)
    assert stages.features == (32, 64, 128, 256, 512, 512)
    assert stages.divisors == (32, 32)
