from __future__ import annotations

import pytest
import timm
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from timm.models import _builder
from torch import nn

from handbone_cli import HandboneError, ModelContext
from handbone_cli.host.registry import installed
from handbone_cli.networks.wrapper import Segmenter
from handbone_models.hrnet import HRNetOCR, HRNetV2, build_ocr_w18, build_w18
from handbone_models.hrnet_options import HrnetOptions


class Pyramid(nn.Module):
    """Four constant branches at strides 4 to 32."""

    def forward(self, images):
        n, _, height, width = images.shape
        return [
            torch.full((n, c, height // s, width // s), float(c))
            for c, s in [(1, 4), (2, 8), (4, 16), (8, 32)]
        ]


@pytest.mark.slow  # 2 s: a backbone is built in full
def test_logits_have_the_size_of_the_images_and_every_parameter_a_gradient():
    model = build_w18(HrnetOptions(), ModelContext(classes=3, in_channels=2))
    logits = model(torch.randn(2, 2, 32, 64))
    assert logits.shape == (2, 3, 32, 64)
    assert model.head[0].in_channels == 18 * (1 + 2 + 4 + 8)
    logits.square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


@pytest.mark.parametrize("width", [18, 32, 48])
@pytest.mark.parametrize(("head", "network"), [("", HRNetV2), ("ocr_", HRNetOCR)])
def test_a_name_says_the_width_and_the_head(monkeypatch, width, head, network):
    asked = {}

    def create(name, **options):
        asked.update(options, name=name)
        backbone = Pyramid()
        backbone.feature_info = type("Info", (), {"channels": lambda self: [1, 2, 4, 8]})()
        return backbone

    monkeypatch.setattr(timm, "create_model", create)
    component = installed().get("models", f"hrnet_{head}w{width}")
    model = component.builder()(HrnetOptions(), ModelContext(classes=2, in_channels=5))
    assert type(model) is network
    assert (asked["name"], asked["in_chans"], asked["pretrained"]) == (f"hrnet_w{width}", 5, False)
    assert component.divisor == 32
    assert model.eval()(torch.zeros(1, 1, 32, 32)).shape == (1, 2, 32, 32)


def test_the_branches_are_joined_finest_first():
    model = HRNetV2(Pyramid(), channels=15, classes=2)
    joined = []
    model.head[0].register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    assert model(torch.zeros(2, 1, 32, 64)).shape == (2, 2, 32, 64)
    assert joined[0].shape == (2, 15, 8, 16)
    assert joined[0][0, :, 0, 0].tolist() == [1.0] + [2.0] * 2 + [4.0] * 4 + [8.0] * 8


def test_object_contexts_give_the_regions_in_training_alone():
    model = HRNetOCR(Pyramid(), channels=15, classes=3)
    logits, regions = model(torch.zeros(2, 1, 32, 64))
    assert (logits.shape, regions.shape) == ((2, 3, 32, 64), (2, 3, 8, 16))
    assert model.output_weights == (1.0, 0.4)
    assert model.eval()(torch.zeros(2, 1, 32, 64)).shape == (2, 3, 32, 64)


def test_the_first_output_is_the_one_that_predicts():
    model = HRNetOCR(Pyramid(), channels=15, classes=3)
    nn.init.constant_(model.head.classify.weight, 0)
    nn.init.constant_(model.head.classify.bias, 5)
    logits, regions = model(torch.zeros(2, 1, 32, 64))
    assert (logits == 5).all()
    assert (model.eval()(torch.zeros(2, 1, 32, 64)) == 5).all()
    assert (regions != 5).all()


@pytest.mark.parametrize(("classes", "batch"), [(1, 2), (2, 1)])
def test_a_single_region_needs_two_images(classes, batch):
    model = HRNetOCR(Pyramid(), channels=15, classes=classes)
    assert Segmenter(model, classes, 32).minimum_batch == batch
    model(torch.zeros(batch, 1, 64, 64))
    if batch > 1:
        with pytest.raises(ValueError, match="more than 1 value"):
            model(torch.zeros(1, 1, 64, 64))


@pytest.mark.parametrize("network", [HRNetV2, HRNetOCR])
def test_the_wrapper_keeps_one_pixel_from_being_normalised(network):
    assert Segmenter(network(Pyramid(), channels=15, classes=2), 2, 32).minimum == 33


@pytest.mark.parametrize(
    ("build", "names"),
    [
        (build_w18, "'hrnet_w18': the ImageNet weights of 'hrnet_w18' could"),
        (build_ocr_w18, "'hrnet_ocr_w18': the ImageNet weights of 'hrnet_w18' could"),
    ],
)
def test_weights_that_cannot_be_downloaded_are_one_sentence(monkeypatch, build, names):
    def offline(*args, **kwargs):
        raise LocalEntryNotFoundError("no connection")

    monkeypatch.setattr(_builder, "load_state_dict_from_hf", offline)
    with pytest.raises(HandboneError, match=names):
        build(HrnetOptions(pretrained=True), ModelContext(classes=3))
