from __future__ import annotations

import pytest
import torch
from dynamic_network_architectures.building_blocks.residual import BasicBlockD
from safetensors.torch import save

from handbone_cli import HandboneError, ModelContext
from handbone_cli.testing import check_model
from handbone_models.nnunet_options import NnunetResencOptions
from handbone_models.nnunet_resenc import build

SMALL = NnunetResencOptions(features=(4, 8, 8))
DEEP = NnunetResencOptions(features=(4, 4, 4, 4), deep_supervision=True)
CONTEXT = ModelContext(classes=5, in_channels=2, patch=(24, 16))


@pytest.mark.parametrize(
    "options", [SMALL, DEEP, NnunetResencOptions(features=(4, 4), norm="batch")]
)
def test_it_does_what_a_model_must(options):
    context = ModelContext(classes=9, in_channels=2, patch=(24, 16))
    check_model(build, options, context, divisor=32, sizes=((33, 47), (5, 3)))


def test_blocks_are_those_of_the_published_plans():
    model = build(NnunetResencOptions(features=(4,) * 7), ModelContext(classes=1))
    assert [len(stage.blocks) for stage in model.encoder.stages] == [1, 3, 4, 6, 6, 6, 6]
    assert [len(stage.convs) for stage in model.decoder.stages] == [1] * 6
    assert len(model.encoder.stem.convs) == 1
    assert (model.divisor, model.minimum) == (64, 65)


def test_every_residual_branch_starts_at_zero():
    model = build(SMALL, CONTEXT)
    blocks = [block for block in model.modules() if isinstance(block, BasicBlockD)]
    assert len(blocks) == 1 + 3 + 4
    assert all(block.conv2(torch.randn(1, 8, 4, 4)).abs().max() == 0 for block in blocks[1:])


@pytest.mark.parametrize("options", [SMALL, DEEP])
def test_the_state_dict_goes_into_safetensors_and_back(options):
    model, other = build(options, CONTEXT).eval(), build(options, CONTEXT).eval()
    save(model.state_dict())
    other.load_state_dict(model.state_dict())
    images = torch.randn(1, 2, 24, 16)
    assert torch.equal(model(images), other(images))


def test_deep_supervision_gives_every_resolution_but_the_lowest():
    logits = build(DEEP, CONTEXT)(torch.randn(1, 2, 32, 16))
    assert [each.shape for each in logits] == [(1, 5, 32, 16), (1, 5, 16, 8)]


def test_deep_supervision_of_one_resolution_is_refused():
    options = NnunetResencOptions(features=(4, 8, 8), deep_supervision=True)
    with pytest.raises(HandboneError, match=r"^model 'nnunet_resenc': deep_supervision = true"):
        build(options, CONTEXT)


def test_a_plan_follows_from_the_patch():
    model = build(NnunetResencOptions(plan=True), ModelContext(classes=1, patch=(16, 16)))
    assert model.encoder.output_channels == (32, 64, 128)
    assert [len(stage.blocks) for stage in model.encoder.stages] == [1, 3, 4]
    assert model.divisor == 4
