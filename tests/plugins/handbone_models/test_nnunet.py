from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import save
from torch import nn

from handbone_cli import HandboneError, ModelContext
from handbone_models.nnunet import build
from handbone_models.options import NnunetOptions

SMALL = NnunetOptions(features=(4, 8, 8), convs_per_stage=1)
CONTEXT = ModelContext(classes=5, in_channels=2, patch=(24, 16))


def convolutions(model: nn.Module) -> list[nn.Conv2d]:
    return [module for module in model.modules() if isinstance(module, nn.Conv2d)]


def test_logits_have_the_size_of_the_images_and_every_parameter_a_gradient():
    model = build(SMALL, CONTEXT)
    logits = model(torch.randn(2, 2, 24, 16))
    assert logits.shape == (2, 5, 24, 16)
    logits.square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize(("features", "divisor"), [((4, 4), 2), ((4, 8, 8), 4), ((2,) * 6, 32)])
def test_the_divisor_follows_from_the_stages(features, divisor):
    options = NnunetOptions(features=features, convs_per_stage=1)
    model = build(options, ModelContext(classes=1, patch=(64, 64)))
    assert model.divisor == divisor
    assert model(torch.zeros(1, 1, 2 * divisor, divisor)).shape == (1, 1, 2 * divisor, divisor)


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


def test_the_state_dict_goes_into_safetensors_and_back():
    model, other = build(SMALL, CONTEXT), build(SMALL, CONTEXT)
    save(model.state_dict())
    other.load_state_dict(model.state_dict())
    images = torch.randn(1, 2, 24, 16)
    assert torch.equal(model(images), other(images))


def test_a_patch_of_one_pixel_at_the_last_stage_is_refused():
    with pytest.raises(HandboneError) as caught:
        build(NnunetOptions(), ModelContext(classes=1, patch=(32, 32)))
    assert str(caught.value) == (
        "model 'nnunet': a patch of 32 x 32 px is a single pixel after 6 stages, and one pixel "
        "cannot be normalised; give `features` fewer entries or use a patch over 32 px."
    )


@pytest.mark.parametrize("features", [(8,), (), (8, 0), (8, -1)])
def test_a_unet_has_two_stages_of_positive_width(features):
    with pytest.raises(ValidationError):
        NnunetOptions(features=features)
