"""Every model that is registered here: one of each family in full, the others by their shapes."""

from __future__ import annotations

import functools
import re
from dataclasses import replace

import pytest
import segmentation_models_pytorch as smp
import timm
import torch
import torchvision.models._api
from huggingface_hub.errors import LocalEntryNotFoundError
from timm.models import _builder

from handbone_cli import HandboneError, ModelContext
from handbone_cli.host.registry import Component, installed
from handbone_cli.networks.meta import parameters_without_storage
from handbone_cli.testing.conformance.models import (
    TriedModel,
    gradients,
    repeats,
    shapes,
    weights,
)

CLASSES = 3
PATCH = 64
LIGHT = {"features": (8, 16, 16)}
"""Options by name."""
LIGHTER = {
    "efficientnet-b2": "efficientnet-b0",
    "mit_b2": "mit_b0",
    "resnet34": "resnet18",
    "resnet50": "resnet18",
    "tu-vit_base_patch16_224": "tu-vit_tiny_patch16_224",
}
"""Default encoders -> the smallest of the same kind."""
PUBLISHED = {
    "segformer_b0": 3.8,
    "segformer_b1": 13.7,
    "segformer_b2": 27.5,
    "segformer_b3": 47.3,
    "segformer_b4": 64.1,
    "segformer_b5": 84.7,
    "upernet_swin_tiny": 60,
    "upernet_swin_small": 81,
    "upernet_swin_base": 121,
    "upernet_convnext_tiny": 60,
    "upernet_convnext_small": 82,
    "upernet_convnext_base": 122,
    "upernet_convnext_large": 235,
}
"""Millions of parameters in the papers, with the 150 classes of ADE20K."""
ZOO = {
    name: component
    for name, component in installed().components["models"].items()
    if component.distribution == "handbone"
}


def family_of(name, names):
    """The longest beginning, up to an underscore, that a name shares with another, or itself."""
    parts = name.split("_")
    beginnings = ["_".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]
    shared = [
        each
        for each in beginnings
        if any(f"{other}_".startswith(f"{each}_") for other in names if other != name)
    ]
    return shared[0] if shared else name


def families(components):
    """Names by family; what is built by another module is a family of its own."""
    found = {}
    for name, component in components.items():
        module = str(component.factory).partition(":")[0]
        found.setdefault(f"{family_of(name, components)}, {module}", []).append(name)
    return found


FAMILIES = families(ZOO)


def context_of(component):
    side = max(PATCH, 2 * component.divisor)
    return ModelContext(CLASSES, 1, (side, side))


def without_numbers(name):
    """A model of full size as the papers have it on ADE20K, for its shapes alone."""
    component = ZOO[name]
    build = functools.partial(component.builder(), component.options_type()())
    context = replace(context_of(component), classes=150, in_channels=3)
    return TriedModel(build, context, component.divisor, sizes=(), without_numbers=True)


def size_of(model):
    return sum(each.numel() for each in model.parameters())


def light_options(component):
    """Options of the smallest network of its kind, so that it can be run in full."""
    fields = component.options_type().model_fields
    given = {key: value for key, value in LIGHT.items() if key in fields}
    if "encoder" in fields:
        given["encoder"] = LIGHTER.get(fields["encoder"].default, fields["encoder"].default)
    if isinstance(fields["decoder_channels"].default if "decoder_channels" in fields else "", int):
        given["decoder_channels"] = 32
    return component.options_type()(**given)


def three_channels(tried):
    images = torch.rand(1, 3, *tried.context.patch)
    with torch.inference_mode():
        logits = tried.fresh(in_channels=3).eval()(images)
    assert logits.shape == (1, CLASSES, *tried.context.patch)


@pytest.mark.slow  # 1 to 10 s each, about 70 s together: all of its models are built
@pytest.mark.parametrize("family", FAMILIES)
def test_a_family(family):
    sizes = {}
    for name in FAMILIES[family]:
        tried = without_numbers(name)
        shapes(tried)
        gradients(tried)
        sizes[name] = size_of(tried.model)
        assert tried.model.divisor == ZOO[name].divisor
        if name in PUBLISHED:
            assert sizes[name] / 1e6 == pytest.approx(PUBLISHED[name], rel=0.03)
    smallest = min(sizes, key=sizes.get)
    component, options = ZOO[smallest], light_options(ZOO[smallest])
    build = functools.partial(component.builder(), options)
    tried = TriedModel(build, context_of(component), component.divisor)
    minimum = tried.model.minimum
    tried.sizes = ((33, 47), (max(1, minimum - 1), minimum + 1))
    for check in (shapes, gradients, repeats, weights, three_channels):
        check(tried)


def test_the_zoo_is_large():
    assert len(ZOO) >= 40
    assert set(PUBLISHED) < set(ZOO)
    assert all(each.paper.startswith(("arXiv:", "doi:")) for each in ZOO.values())


def test_no_name_is_forgotten():
    assert sorted(name for names in FAMILIES.values() for name in names) == sorted(ZOO)
    assert len(FAMILIES) < len(ZOO)


def test_families_follow_from_names_and_modules():
    def component(name, factory):
        return Component("models", name, factory, None, "", 1, "handbone", "1")

    names = {
        "unet": "a:u",
        "unet_mit_b0": "a:m0",
        "unet_mit_b1": "a:m1",
        "net_w18": "b:w18",
        "net_ocr_w18": "b:o18",
        "net_ocr_w32": "b:o32",
        "net_plain": "c:p",
        "alone": "d:a",
    }
    assert families({name: component(name, factory) for name, factory in names.items()}) == {
        "unet, a": ["unet"],
        "unet_mit, a": ["unet_mit_b0", "unet_mit_b1"],
        "net, b": ["net_w18"],
        "net_ocr, b": ["net_ocr_w18", "net_ocr_w32"],
        "net, c": ["net_plain"],
        "alone, d": ["alone"],
    }


def encoder_of(component):
    """The encoder that its builder or its options name by default; None if neither does."""
    fixed = getattr(component.builder(), "keywords", {}).get("encoder")
    field = component.options_type().model_fields.get("encoder")
    return fixed or (field.default if field else None)


def has_weights(encoder):
    """Whether smp or timm, as they are installed, know where its weights are."""
    if encoder.startswith("tu-"):
        known = timm.get_pretrained_cfg(encoder.removeprefix("tu-"))
        return known is not None and bool(known.has_weights)
    return bool(smp.encoders.encoders[encoder]["pretrained_settings"])


def offline(*args, **kwargs):
    raise LocalEntryNotFoundError("no connection")


def asks_for_weights(component, monkeypatch):
    """Whether a build gets as far as to download them; without any it would fail before."""
    monkeypatch.setattr(_builder, "load_state_dict_from_hf", offline)
    monkeypatch.setattr(_builder, "load_state_dict_from_url", offline)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", offline)
    options = component.options_type()(pretrained=True)
    with parameters_without_storage(), pytest.raises(HandboneError) as caught:
        component.builder()(options, context_of(component))
    return re.search(r"the ImageNet weights of '(.+)' could not be downloaded", str(caught.value))


@pytest.mark.parametrize(
    "name", [n for n, each in ZOO.items() if "pretrained" in each.options_type().model_fields]
)
def test_the_default_encoder_has_weights(name, monkeypatch):
    component = ZOO[name]
    encoder = encoder_of(component)
    assert has_weights(encoder) if encoder else asks_for_weights(component, monkeypatch)


def test_the_check_sees_an_encoder_without_weights():
    assert not has_weights("tu-lcnet_035")
    assert has_weights("tu-lcnet_050")
    assert encoder_of(ZOO["unet"]) == "efficientnet-b2"
