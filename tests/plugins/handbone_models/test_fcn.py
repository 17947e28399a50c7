from __future__ import annotations

from functools import partial
from urllib.error import URLError

import pytest
import torch
import torchvision.models._api
from torch import nn
from torchvision.models import ResNet50_Weights, ResNet101_Weights

from handbone_cli import HandboneError, ModelContext
from handbone_cli.networks.wrapper import Segmenter
from handbone_cli.testing import check_model
from handbone_models.fcn import FCN, _take_channels, build, build_resnet50, build_resnet101
from handbone_models.fcn_options import FcnOptions

CONTEXT = ModelContext(classes=3, in_channels=2, patch=(24, 16))


class Tiny(nn.Module):
    """What torchvision's builders give, with a backbone of one convolution at stride 8."""

    def __init__(self, *, aux_loss, num_classes, weights, weights_backbone):
        super().__init__()
        self.asked = (weights, weights_backbone)
        self.backbone = Stages({"conv1": nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False)})
        self.classifier = nn.Conv2d(4, num_classes, 1)
        self.aux_classifier = nn.Conv2d(4, num_classes, 1) if aux_loss else None


class Stages(nn.ModuleDict):
    def forward(self, images):
        out = self["conv1"](images)[..., ::4, ::4]
        return {"out": out, "aux": out}


build_tiny = partial(build, name="fcn_tiny", architecture=Tiny, weights="W")


def tiny(**options):
    return build_tiny(FcnOptions(**options), CONTEXT)


@pytest.mark.parametrize("auxiliary", [True, False])
def test_it_does_what_a_model_must(auxiliary):
    options = FcnOptions(auxiliary=auxiliary)
    check_model(build_tiny, options, CONTEXT, divisor=8, sizes=((33, 47),))


@pytest.mark.slow  # 2 s each: ResNets are built in full
@pytest.mark.parametrize(("build", "blocks"), [(build_resnet50, 6), (build_resnet101, 23)])
def test_backbones_are_dilated_to_stride_8(build, blocks):
    model = build(FcnOptions(auxiliary=True), CONTEXT)
    assert len(model.backbone["layer3"]) == blocks
    logits, auxiliary = model(torch.randn(2, 2, 24, 16))
    assert (logits.shape, auxiliary.shape) == ((2, 3, 24, 16), (2, 3, 3, 2))
    assert model.backbone["conv1"].in_channels == 2
    (logits.square().sum() + auxiliary.square().sum()).backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_the_auxiliary_head_counts_half_and_in_training_alone():
    model = tiny(auxiliary=True)
    assert Segmenter(model, 3, 8).output_weights == (1.0, 0.5)
    assert Segmenter(tiny(), 3, 8).output_weights is None
    images = torch.randn(2, 2, 24, 16)
    logits, auxiliary = model(images)
    assert auxiliary.shape == (2, 3, 3, 2)
    assert torch.equal(model.eval()(images), logits)
    assert not torch.allclose(logits[..., ::8, ::8], auxiliary)


def test_the_wrapper_keeps_one_pixel_from_being_normalised():
    assert Segmenter(tiny(), 3, 8).minimum == 9


def test_weights_are_asked_for_only_where_they_are_wanted():
    def recorded(**arguments):
        seen.append(Tiny(**arguments))
        return seen[-1]

    seen: list[Tiny] = []
    for pretrained in (False, True):
        build(
            FcnOptions(pretrained=pretrained), CONTEXT, name="f", architecture=recorded, weights="W"
        )
    assert [each.asked for each in seen] == [(None, None), (None, "W")]
    kept = ResNet50_Weights.IMAGENET1K_V1, ResNet101_Weights.IMAGENET1K_V1
    assert (build_resnet50.keywords["weights"], build_resnet101.keywords["weights"]) == kept


@pytest.mark.parametrize("channels", [1, 3, 4, 6])
@pytest.mark.parametrize("pretrained", [True, False])
def test_a_grey_image_looks_as_it_would_in_three_channels(channels, pretrained):
    backbone = nn.ModuleDict({"conv1": nn.Conv2d(3, 4, 7, stride=2, padding=3, bias=False)})
    colours = backbone["conv1"]
    _take_channels(backbone, channels, pretrained=pretrained)
    image = torch.randn(1, 1, 16, 16)
    here = backbone["conv1"](image.expand(-1, channels, -1, -1))
    there = colours(image.expand(-1, 3, -1, -1))
    alike = torch.allclose(here, there, atol=1e-5)
    # Four filters are red, green, blue and red: alike in scale, not in value.
    assert alike == (channels == 3 or (pretrained and channels != 4))
    assert here.shape == there.shape
    assert backbone["conv1"].weight.requires_grad


@pytest.mark.parametrize("build", [build_resnet50, build_resnet101])
def test_weights_that_cannot_be_downloaded_are_one_sentence(monkeypatch, build):
    def offline(*args, **kwargs):
        raise URLError("no connection")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda tensor, **_: tensor)
    name = build.keywords["name"]
    said = f"'{name}': the ImageNet weights of '{name[4:]}' could not be downloaded"
    with pytest.raises(HandboneError, match=said):
        build(FcnOptions(pretrained=True), CONTEXT)


def test_logits_are_brought_to_the_size_of_the_images():
    model = FCN(Tiny(aux_loss=False, num_classes=2, weights=None, weights_backbone=None))
    assert model(torch.randn(1, 3, 40, 24)).shape == (1, 2, 40, 24)
