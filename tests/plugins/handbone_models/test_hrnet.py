from __future__ import annotations

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from pydantic import ValidationError
from timm.models import _builder
from torch import nn

from handbone_cli import HandboneError, ModelContext
from handbone_models.hrnet import HRNetV2, build
from handbone_models.options import HrnetOptions


class Pyramid(nn.Module):
    """Four constant branches at strides 4 to 32."""

    def forward(self, images):
        n, _, height, width = images.shape
        return [
            torch.full((n, c, height // s, width // s), float(c))
            for c, s in [(1, 4), (2, 8), (4, 16), (8, 32)]
        ]


def test_logits_have_the_size_of_the_images_and_every_parameter_a_gradient():
    model = build(HrnetOptions(width=18), ModelContext(classes=3, in_channels=2))
    logits = model(torch.randn(2, 2, 32, 64))
    assert logits.shape == (2, 3, 32, 64)
    assert model.head[0].in_channels == 18 * (1 + 2 + 4 + 8)
    logits.square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_the_branches_are_joined_finest_first():
    model = HRNetV2(Pyramid(), channels=15, classes=2)
    joined = []
    model.head[0].register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    assert model(torch.zeros(2, 1, 32, 64)).shape == (2, 2, 32, 64)
    assert joined[0].shape == (2, 15, 8, 16)
    assert joined[0][0, :, 0, 0].tolist() == [1.0] + [2.0] * 2 + [4.0] * 4 + [8.0] * 8


def test_weights_that_cannot_be_downloaded_are_one_sentence(monkeypatch):
    def offline(*args, **kwargs):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(_builder, "load_state_dict_from_hf", offline)
    with pytest.raises(HandboneError, match="'hrnet': the ImageNet weights of 'hrnet_w18' could"):
        build(HrnetOptions(width=18, pretrained=True), ModelContext(classes=3))


def test_a_width_without_a_paper_is_refused():
    with pytest.raises(ValidationError, match="18, 32 or 48"):
        HrnetOptions(width=40)
