from __future__ import annotations

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from pydantic import ValidationError
from segmentation_models_pytorch import encoders
from timm.models import _builder

from handbone_cli import HandboneError, ModelContext
from handbone_models.options import Deeplabv3PlusOptions, UnetOptions
from handbone_models.smp_decoders import build_deeplabv3plus, build_unet

CONTEXT = ModelContext(classes=5)
ENCODER = "tu-lcnet_050"


def unet(**options):
    return build_unet(
        UnetOptions(**{"encoder": ENCODER, "decoder_channels": (16, 8, 8, 8, 4)} | options), CONTEXT
    )


def deeplabv3plus(**options):
    return build_deeplabv3plus(Deeplabv3PlusOptions(**{"encoder": ENCODER} | options), CONTEXT)


@pytest.mark.parametrize("build", [unet, deeplabv3plus])
def test_logits_have_the_size_of_the_images_and_every_parameter_a_gradient(build):
    model = build()
    logits = model(torch.randn(2, 1, 64, 32))
    assert logits.shape == (2, 5, 64, 32)
    logits.square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_deeplabv3plus_takes_multiples_of_16():
    assert deeplabv3plus()(torch.zeros(2, 1, 48, 80)).shape == (2, 5, 48, 80)


def test_decoder_channels_are_those_of_the_options():
    blocks = unet(decoder_channels=(10, 9, 8, 7, 6)).decoder.blocks
    assert [block.conv2[0].out_channels for block in blocks] == [10, 9, 8, 7, 6]


@pytest.mark.parametrize("channels", [(8, 8, 8, 8), (8,) * 6, (8, 8, 8, 8, 0)])
def test_a_decoder_has_five_positive_widths(channels):
    with pytest.raises(ValidationError):
        UnetOptions(decoder_channels=channels)


@pytest.mark.parametrize(
    ("encoder", "hint"),
    [
        ("resnet43", "did you mean 'resnet34'? Among others there are"),
        ("tu-resnet81", "did you mean 'tu-resnet18'? Among others there are"),
        ("zzzzzzzzzzzz", "there are"),
    ],
)
def test_an_unknown_encoder_is_answered_with_the_closest(encoder, hint):
    with pytest.raises(HandboneError) as caught:
        unet(encoder=encoder)
    assert str(caught.value) == (
        f"model 'unet' has no encoder '{encoder}'; {hint} resnet34, resnet50, efficientnet-b2, "
        "mobilenet_v2, mit_b2, and every timm model as 'tu-NAME'."
    )


def test_an_encoder_that_a_decoder_cannot_use_is_refused():
    with pytest.raises(HandboneError) as caught:
        deeplabv3plus(encoder="tu-test_vit")
    assert str(caught.value) == (
        "model 'deeplabv3plus' cannot use encoder 'tu-test_vit': Unsupported model downsampling "
        "pattern; choose another encoder."
    )


def offline(*args, **kwargs):
    raise LocalEntryNotFoundError("no connection")


@pytest.mark.parametrize("encoder", [ENCODER, "mobilenet_v2"])
def test_weights_that_cannot_be_downloaded_are_one_sentence(encoder, monkeypatch):
    monkeypatch.setattr(encoders, "hf_hub_download", offline)
    monkeypatch.setattr(_builder, "load_state_dict_from_hf", offline)
    with pytest.raises(HandboneError) as caught:
        unet(encoder=encoder, pretrained=True)
    assert str(caught.value) == (
        f"model 'unet': the ImageNet weights of '{encoder}' could not be downloaded "
        "(LocalEntryNotFoundError); connect to huggingface.co once, or set `pretrained = false`."
    )


def test_an_encoder_without_imagenet_weights_says_so():
    with pytest.raises(
        HandboneError, match="'tu-lcnet_035' with pretrained weights: No pretrained"
    ):
        unet(encoder="tu-lcnet_035", pretrained=True)
