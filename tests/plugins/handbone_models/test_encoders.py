from __future__ import annotations

import pytest
import timm
import torch
from segmentation_models_pytorch import encoders
from timm.models import _builder

from handbone_cli import ModelContext
from handbone_models.encoders import facts_of, feature_strides, weights_of
from handbone_models.smp_decoders import build_dpt, build_unet
from handbone_models.smp_options import DptOptions, UnetOptions

NARROW = {"intermediate_channels": (8,) * 4, "fusion_channels": 8}
"""A decoder of DPT that is built at once."""


def test_timm_is_told_what_lets_an_encoder_take_any_size():
    assert facts_of("resnet34").keywords == {}
    assert facts_of("tu-test_resnet").keywords == {}
    assert facts_of("tu-vit_tiny_patch16_224").keywords == {"dynamic_img_size": True}
    hidden = "tu-deit_tiny_distilled_patch16_224"  # its class only hands on what it is told
    assert facts_of(hidden).keywords == {"dynamic_img_size": True}
    windows = {"strict_img_size": False, "always_partition": True}
    assert facts_of("tu-swin_tiny_patch4_window7_224").keywords == windows


def test_patches_of_14_px_are_brought_to_16():
    told = {"dynamic_img_size": True, "patch_size": 16}
    assert facts_of("tu-eva02_tiny_patch14_224").keywords == told


def test_an_encoder_has_a_size_and_perhaps_a_class_token():
    assert (facts_of("mit_b0").side, facts_of("mit_b0").class_token) == (None, False)
    assert (facts_of("tu-test_vit").side, facts_of("tu-test_vit").class_token) == (160, True)
    assert not facts_of("tu-test_resnet").class_token


def test_feature_maps_halve_from_stride_to_stride():
    assert feature_strides("resnet18") == [2, 4, 8, 16, 32]
    assert feature_strides("mit_b3") == [4, 8, 16, 32]
    assert feature_strides("tu-test_convnext") == [4, 8, 16, 32]
    assert feature_strides("tu-test_vit") == [16] * 3
    assert feature_strides("tu-convit_tiny") is None


def test_weights_are_those_of_imagenet_or_else_the_first_there_are():
    assert weights_of("mit_b0") == "imagenet"
    assert weights_of("resnext101_32x4d") == "ssl"
    assert weights_of("dpn92") == "imagenet+5k"
    assert weights_of("tu-resnet18") is True


def published(encoder, monkeypatch):
    """Let downloads give the weights of a three-channel encoder from a seed."""
    torch.manual_seed(3)
    if encoder.startswith("tu-"):
        state = timm.create_model(encoder.removeprefix("tu-")).state_dict()
        monkeypatch.setattr(_builder, "load_state_dict_from_hf", lambda *_, **__: dict(state))
        return
    entry = encoders.encoders[encoder]
    state = entry["encoder"](**entry["params"] | {"depth": 5}).state_dict()
    monkeypatch.setattr(encoders, "hf_hub_download", lambda *_, **__: "")
    monkeypatch.setattr(encoders, "load_file", lambda *_, **__: dict(state))


@pytest.mark.parametrize(
    "encoder",
    [
        "resnet18",
        "mit_b0",
        "efficientnet-b0",
        "mobilenet_v2",
        "timm-skresnet18",
        "tu-test_resnet",
        "tu-test_convnext",
        "tu-test_efficientnet",
        "tu-mobilevit_xxs",
        "tu-test_vit",
        pytest.param("tu-eva02_tiny_patch14_224", marks=pytest.mark.slow),  # 4 s: 5 M parameters
        pytest.param("tu-swin_tiny_patch4_window7_224", marks=pytest.mark.slow),  # 4 s: 28 M
    ],
)
def test_one_channel_sees_what_three_equal_channels_saw(encoder, monkeypatch):
    published(encoder, monkeypatch)
    transformer = "vit" in encoder.partition("_")[2] or "eva" in encoder
    if transformer:
        build, narrow = build_dpt, DptOptions(**NARROW, encoder=encoder, pretrained=True)
    else:
        channels = (8,) * 5
        build = build_unet
        narrow = UnetOptions(decoder_channels=channels, encoder=encoder, pretrained=True)
    one, three = (build(narrow, ModelContext(2, count)).eval().encoder for count in (1, 3))
    image = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        grey, colour = one(image), three(image.expand(1, 3, 64, 64))
    if transformer:
        grey, colour = grey[0], colour[0]
    pairs = [(g, c) for g, c in zip(grey, colour, strict=True) if g.shape == c.shape and g.numel()]
    assert len(pairs) >= 4
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()))
