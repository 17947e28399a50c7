from __future__ import annotations

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError
from segmentation_models_pytorch import encoders
from timm.models import _builder
from torch import nn

from handbone_cli import HandboneError, ModelContext
from handbone_cli.host.registry import installed
from handbone_cli.testing import check_model
from handbone_models.fit import examine
from handbone_models.smp_decoders import build_unet
from handbone_models.smp_options import UnetOptions

CONTEXT = ModelContext(classes=5, patch=(64, 64))
ENCODER = "tu-test_resnet"
NARROW = {"decoder_channels": (16, 8, 8, 8, 4)}
SMALL = {
    "unet": {"encoder": ENCODER} | NARROW,
    "unetplusplus": {"encoder": ENCODER} | NARROW,
    "manet": {"encoder": ENCODER, "pab_channels": 8} | NARROW,
    "linknet": {"encoder": "tu-test_efficientnet"},
    "fpn": {"encoder": ENCODER, "pyramid_channels": 16, "segmentation_channels": 32},
    "pspnet": {"encoder": ENCODER, "decoder_channels": 16},
    "pan": {"encoder": ENCODER, "decoder_channels": 8},
    "deeplabv3": {"encoder": ENCODER, "decoder_channels": 16},
    "deeplabv3plus": {"encoder": ENCODER, "decoder_channels": 16},
    "upernet": {"encoder": "tu-test_convnext", "decoder_channels": 16},
    "segformer": {"encoder": "mit_b0", "decoder_channels": 16},
    "dpt": {
        "encoder": "tu-test_vit",
        "intermediate_channels": (8, 8, 16, 16),
        "fusion_channels": 16,
    },
}
"""Each decoder on a network of less than 4 million parameters."""


def small(name, context=CONTEXT, **options):
    component = installed().get("models", name)
    parsed = component.options_type()(**SMALL[name] | options)
    return component.builder()(parsed, context)


@pytest.mark.slow  # 0.5 to 2 s each, 15 s together: the whole conformance of twelve models
@pytest.mark.parametrize("name", SMALL)
def test_a_model_does_all_that_a_model_must_do(name):
    component = installed().get("models", name)
    options = component.options_type()(**SMALL[name])
    check_model(component.builder(), options, CONTEXT, divisor=component.divisor)


@pytest.mark.parametrize(
    ("name", "needs"),
    [
        ("unet", (32, 64, 1)),
        ("pspnet", (8, 16, 1)),
        ("pan", (16, 128, 2)),
        ("deeplabv3", (8, 8, 2)),
        ("deeplabv3plus", (16, 16, 2)),
        ("upernet", (32, 32, 2)),
        ("segformer", (32, 32, 1)),
        ("dpt", (32, 64, 1)),
    ],
)
def test_a_model_says_what_images_it_takes_and_takes_them(name, needs):
    divisor, minimum, batch = needs
    model = small(name)
    assert (model.divisor, model.minimum, model.minimum_batch) == needs
    images = torch.rand(batch, 1, minimum, minimum + divisor)
    assert model.train()(images).shape == (batch, 5, minimum, minimum + divisor)
    if batch > 1:
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            model(images[:1])


def test_a_bigger_output_stride_is_a_bigger_divisor():
    assert small("pspnet", output_stride=32).divisor == 32
    assert small("pan", output_stride=32).minimum == 256
    assert small("deeplabv3plus", output_stride=8).divisor == 8


def test_a_vision_transformer_takes_any_size_and_keeps_its_positions():
    model = small("dpt").eval()
    positions = model.encoder.model.pos_embed.shape
    with torch.no_grad():
        assert model(torch.zeros(1, 1, 96, 32)).shape == (1, 5, 96, 32)
    assert model.encoder.model.pos_embed.shape == positions


def test_decoder_options_reach_the_decoder():
    blocks = small("unet", decoder_channels=(10, 9, 8, 7, 6)).decoder.blocks
    assert [block.conv2[0].out_channels for block in blocks] == [10, 9, 8, 7, 6]
    attended = small("unet", decoder_channels=(16,) * 5, attention="scse")
    assert sum(each.numel() for each in attended.parameters()) > sum(
        each.numel() for each in small("unet", decoder_channels=(16,) * 5).parameters()
    )
    assert small("manet", pab_channels=6).decoder.center.pab_channels == 6
    assert small("fpn", merge="cat").segmentation_head[0].in_channels == 4 * 32
    assert small("fpn", dropout=0.4).decoder.dropout.p == 0.4
    assert small("pspnet", dropout=0.4).decoder.dropout.p == 0.4
    rates = small("deeplabv3", atrous_rates=(2, 3, 4), dropout=0.1).decoder.aspp
    assert [rates.convs[place][0].dilation for place in (1, 2, 3)] == [(2, 2), (3, 3), (4, 4)]
    assert rates.project[3].p == 0.1
    assert type(small("dpt", readout="add").decoder.projection_blocks[0]).__name__ == (
        "ReadoutAddBlock"
    )


def test_without_a_class_token_there_is_nothing_to_read_out():
    with torch.device("meta"):
        model = small("dpt", encoder="tu-vit_base_patch16_siglip_224")
    assert type(model.decoder.projection_blocks[0]).__name__ == "ReadoutIgnoreBlock"


def test_no_part_lies_idle():
    model = build_unet(UnetOptions(encoder="efficientnet-b0"), CONTEXT)
    assert [type(model.encoder._conv_head), type(model.encoder._bn1)] == [nn.Identity] * 2
    model(torch.rand(1, 1, 64, 64)).sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []
    assert all(value.requires_grad for value in model.parameters())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_model_built_without_gradients_is_the_same(mode):
    expected = {name: value.shape for name, value in small("dpt").named_parameters()}
    examine.cache_clear()
    with mode():
        model = small("dpt")
    assert {name: value.shape for name, value in model.named_parameters()} == expected
    assert all(value.requires_grad for value in model.parameters())


def test_the_trial_leaves_the_random_state_alone():
    torch.manual_seed(1)
    one = small("segformer").state_dict()
    torch.manual_seed(1)
    two = small("segformer").state_dict()
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_a_model_can_be_built_without_storage():
    with torch.device("meta"):
        model = small("segformer")
        assert model.eval()(torch.zeros(1, 1, 64, 64)).shape == (1, 5, 64, 64)
    assert all(value.is_meta for value in model.state_dict().values())


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
        small("unet", encoder=encoder)
    assert str(caught.value) == (
        f"model 'unet' has no encoder '{encoder}'; {hint} resnet34, resnet50, efficientnet-b2, "
        "mobilenet_v2, mit_b2, and every timm model as 'tu-NAME'."
    )


@pytest.mark.parametrize(
    ("name", "encoder", "why"),
    [
        ("linknet", "mit_b2", "it has no feature map at stride 2"),
        ("unetplusplus", "mit_b2", "it has no feature map at stride 2"),
        (
            "unet",
            "tu-test_vit",
            "its feature maps have stride 16 throughout, and the decoder needs 2 or 4 to 32",
        ),
        ("deeplabv3", "vgg11", "it cannot be dilated to `output_stride = 8`"),
        ("dpt", "resnet18", "it takes encoders of timm, named 'tu-NAME'"),
    ],
)
def test_an_encoder_that_does_not_fit_is_answered_with_some_that_do(name, encoder, why):
    with pytest.raises(HandboneError) as caught:
        small(name, encoder=encoder)
    familiar = ", ".join(installed().get("models", name).builder().keywords["decoder"].familiar)
    assert str(caught.value) == (
        f"model '{name}' cannot use encoder '{encoder}': {why}; choose one of {familiar}."
    )


def offline(*args, **kwargs):
    raise LocalEntryNotFoundError("no connection")


@pytest.mark.parametrize("encoder", [ENCODER, "mobilenet_v2"])
def test_weights_that_cannot_be_downloaded_are_one_sentence(encoder, monkeypatch):
    monkeypatch.setattr(encoders, "hf_hub_download", offline)
    monkeypatch.setattr(_builder, "load_state_dict_from_hf", offline)
    with pytest.raises(HandboneError) as caught:
        small("unet", encoder=encoder, pretrained=True)
    assert str(caught.value).startswith(
        f"model 'unet': the ImageNet weights of '{encoder}' could not be downloaded "
    )


def test_an_encoder_without_imagenet_weights_says_so():
    with pytest.raises(
        HandboneError, match="'tu-lcnet_035' with pretrained weights: No pretrained"
    ):
        small("unet", encoder="tu-lcnet_035", pretrained=True)
