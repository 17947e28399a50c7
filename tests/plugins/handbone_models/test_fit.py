from __future__ import annotations

import re

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save

from handbone_cli import HandboneError, ModelContext
from handbone_cli.host.registry import installed
from handbone_cli.networks.weights import own_tensors
from handbone_cli.networks.wrapper import Segmenter
from handbone_models import fit
from handbone_models.fit import UnfitError, examine

CONTEXT = ModelContext(classes=2, patch=(64, 64))
DECODERS = ("unet", "unetplusplus", "deeplabv3plus", "dpt")
NOT_TIMM = {"dpt": "it takes encoders of timm, named 'tu-NAME'"}
UNDILATED = {"deeplabv3plus": "it cannot be dilated to `output_stride = 16`"}
NO_FOUR = {"dpt": "timm does not give four feature maps of it"}
ONE_SIZE = "it takes images of 224 x 224 px alone"
PLAIN = dict.fromkeys(
    DECODERS[:3],
    "its feature maps have stride 16 throughout, and the decoder needs 2 or 4 to 32",
)
ODD = "its feature maps do not fit the decoder"
REFUSED = {
    # Families of smp.
    "resnet18": NOT_TIMM,
    "vgg11": NOT_TIMM | UNDILATED,
    "timm-skresnet18": NOT_TIMM,
    "mit_b0": NOT_TIMM | {"unetplusplus": "it has no feature map at stride 2"},
    # Families of timm.
    "tu-swin_tiny_patch4_window7_224": UNDILATED,
    "tu-hiera_tiny_224": dict.fromkeys(("unet", "unetplusplus", "dpt"), ONE_SIZE) | UNDILATED,
    "tu-efficientvit_b0": UNDILATED,
    "tu-inception_v3": {"unetplusplus": ODD} | UNDILATED | NO_FOUR,
    "tu-coat_tiny": dict.fromkeys(DECODERS[:3], "timm gives no feature maps of it") | NO_FOUR,
    "tu-beit_base_patch16_224": PLAIN | {"dpt": ONE_SIZE},
}
"""Which decoders refuse an encoder, and why; the others of DECODERS take it."""
SMALL = {
    "tu-test_resnet": "unetplusplus",
    "tu-test_convnext": "fpn",
    "tu-test_convnext3": "upernet",
    "tu-test_efficientnet": "deeplabv3",
    "tu-test_efficientnet_ln": "pspnet",
    "tu-test_byobnet": "linknet",
    "tu-test_nfnet": "manet",
    "tu-test_mambaout": "segformer",
    "tu-test_vit": "dpt",
    "tu-test_vit3": "dpt",
    "mobilenet_v2": "pan",
    "timm-skresnet18": "unet",
}


def build(name, encoder):
    component = installed().get("models", name)
    narrow = {"intermediate_channels": (8, 8, 8, 8), "fusion_channels": 8} if name == "dpt" else {}
    return component.builder()(component.options_type()(encoder=encoder, **narrow), CONTEXT)


def refusal(name, encoder):
    """Why a decoder does not take an encoder, '' if it does."""
    known = re.escape(f"model '{name}' cannot use encoder '{encoder}': ")
    try:
        with torch.device("meta"):
            build(name, encoder)
    except HandboneError as error:
        return re.fullmatch(f"{known}(.*); choose one of .*", str(error))[1]
    return ""


@pytest.mark.slow  # 0.5 to 3 s each, 25 s together: each builds four networks and runs them
@pytest.mark.parametrize("encoder", REFUSED)
def test_an_encoder_fits_or_the_reason_is_named(encoder):
    found = {name: refusal(name, encoder) for name in DECODERS}
    assert {name: why for name, why in found.items() if why} == REFUSED[encoder]


@pytest.mark.parametrize(("encoder", "name"), SMALL.items())
def test_all_of_a_network_learns_and_goes_to_a_file(encoder, name):
    model = Segmenter(build(name, encoder), 2, 1)
    count, side = model.minimum_batch, max(64, model.minimum)
    model.train()(torch.rand(count, 1, side, side)).square().mean().backward()
    learning = [(key, each.grad) for key, each in model.named_parameters() if each.requires_grad]
    assert [key for key, gradient in learning if gradient is None] == []
    assert save(own_tensors(model)) == save(model.state_dict())
    with torch.inference_mode():
        image = torch.rand(1, 1, 33, 47)
        assert model.eval()(image).shape == (1, 2, 33, 47)
        assert torch.equal(model(image), model(image))


@pytest.mark.slow  # 3 s each: nine networks run without storage
@pytest.mark.parametrize("name", ["unet", "deeplabv3plus"])
def test_the_encoders_that_a_refusal_offers_fit(name):
    component = installed().get("models", name)
    for encoder in component.builder().keywords["decoder"].familiar:
        assert not refusal(name, encoder)


def test_windows_make_a_larger_divisor():
    with torch.device("meta"):
        model = build("unet", "tu-maxvit_pico_rw_256")
        assert (model.divisor, model.minimum) == (256, 256)
        assert model(torch.zeros(1, 1, 512, 256)).shape == (1, 2, 512, 256)


def test_attention_over_pooled_channels_takes_two_images():
    with torch.device("meta"):
        assert build("unet", "timm-skresnet18").minimum_batch == 2


def test_an_encoder_that_needs_numbers_is_tried_on_small_images(monkeypatch):
    monkeypatch.setattr(fit, "build_without_storage", lambda construct: 1 / 0)
    with pytest.raises(UnfitError, match="ZeroDivisionError"):
        examine(smp.Unet, encoder_name="tu-test_resnet", in_channels=1, classes=3)

    def build_broken(construct):
        twin = construct()
        twin.encoder.forward = lambda images: 1 / 0
        return twin

    monkeypatch.setattr(fit, "build_without_storage", build_broken)
    needs = examine(smp.Unet, encoder_name="tu-test_resnet", in_channels=1, classes=3)
    assert (needs.divisor, needs.minimum) == (32, 64)


def test_a_refusal_is_not_remembered(monkeypatch):
    keywords = {"encoder_name": "tu-test_resnet", "in_channels": 1, "classes": 7}
    with monkeypatch.context() as patched:
        patched.setattr(fit, "find_needs", lambda *given: None)
        with pytest.raises(UnfitError):
            examine(smp.Unet, **keywords)
    assert examine(smp.Unet, **keywords).divisor == 32
    monkeypatch.setattr(fit, "find_needs", lambda *given: None)
    assert examine(smp.Unet, **keywords).divisor == 32


def test_an_error_of_another_library_is_quoted_by_its_first_line(monkeypatch):
    def refuse(construct):
        raise AttributeError("no stem.\nsee above")

    monkeypatch.setattr(fit, "build_without_storage", refuse)
    with pytest.raises(UnfitError, match=r"^AttributeError: no stem$"):
        examine(smp.Unet, encoder_name="resnet18", in_channels=1, classes=9)
