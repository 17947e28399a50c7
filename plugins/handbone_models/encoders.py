"""Encoders of segmentation_models_pytorch and timm: which there are, what they take and give."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import segmentation_models_pytorch as smp
import timm

from handbone_cli import HandboneError
from handbone_models.storage import build_without_storage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn

TIMM_PREFIX = "tu-"
COARSEST = 32
PATCH = 16
"""Side in px to which patches are brought that are no power of two, as those of DINOv2."""


def require_encoder(model: str, encoder: str, familiar: Sequence[str]) -> None:
    """One sentence with the closest name if there is no such encoder.

    Args:
        model: the name in the recipe.
        encoder: of smp, or `tu-NAME` of timm.
        familiar: some that the model takes.
    """
    known = smp.encoders.get_encoder_names()
    timm_name = encoder.removeprefix(TIMM_PREFIX)
    if encoder in known or (timm_name != encoder and timm.is_model(timm_name)):
        return
    names = [*known, *(TIMM_PREFIX + name for name in timm.list_models())]
    near = get_close_matches(encoder, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? Among others there are" if near else "there are"
    raise HandboneError(
        f"model '{model}' has no encoder '{encoder}'; {hint} {', '.join(familiar)}, "
        f"and every timm model as '{TIMM_PREFIX}NAME'."
    )


def weights_of(encoder: str) -> str | bool:
    """What smp calls the weights of an encoder: those of ImageNet, or else the first it has."""
    if encoder.startswith(TIMM_PREFIX):
        return True
    known = list(smp.encoders.encoders[encoder]["pretrained_settings"])
    return "imagenet" if "imagenet" in known or not known else known[0]


@dataclass(frozen=True)
class Facts:
    """What an encoder is.

    Attributes:
        keywords: what timm is to be told so that it takes images of more than one size.
        side: height of the images it was made for, in px; None for smp's own, which take any.
        class_token: whether it carries tokens beside those of the patches.
    """

    keywords: Mapping[str, Any]
    side: int | None = None
    class_token: bool = False


@functools.cache
def facts_of(encoder: str) -> Facts:
    """Look at an encoder, built without storage.

    A vision transformer interpolates its positions to the image at hand; windows of Swin are
    shifted in all stages, also in those that a single window would fill at the size of ImageNet.
    """
    if not encoder.startswith(TIMM_PREFIX):
        return Facts({})
    name = encoder.removeprefix(TIMM_PREFIX)
    model = build_without_storage(lambda: timm.create_model(name))
    takes = _keywords_of(type(model))
    wanted: dict[str, Any] = {
        "dynamic_img_size": True,
        "strict_img_size": False,
        "always_partition": True,
    }
    keywords = {key: value for key, value in wanted.items() if key in takes}
    if "patch_size" in takes and not _is_power_of_two(_patch(model)):
        keywords["patch_size"] = PATCH
    size = getattr(model, "default_cfg", {}).get("input_size")
    tokens = bool(getattr(model, "num_prefix_tokens", 0))
    return Facts(keywords, int(size[1]) if size else None, tokens)


def feature_strides(encoder: str) -> list[int] | None:
    """Strides of the feature maps timm gives, finest first; None if it gives none.

    Those of smp's own encoders are 2, 4, 8, 16 and 32, and all but mit have channels at each.
    """
    if not encoder.startswith(TIMM_PREFIX):
        return [4, 8, 16, 32] if encoder.startswith("mit_") else [2, 4, 8, 16, 32]
    name = encoder.removeprefix(TIMM_PREFIX)
    try:
        model = build_without_storage(lambda: timm.create_model(name, features_only=True))
    except Exception:  # noqa: BLE001  timm has no one way to say no
        return None
    return [int(stride) for stride in model.feature_info.reduction()]


def _keywords_of(network: type[nn.Module]) -> set[str]:
    """What a class takes by name, and what it hands on to the class it is made from."""
    names: set[str] = set()
    for each in network.__mro__:
        parameters = inspect.signature(each).parameters
        names |= parameters.keys()
        if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
            break
    return names


def _patch(model: nn.Module) -> int:
    side: Any = getattr(getattr(model, "patch_embed", None), "patch_size", 1)
    return int(side[0] if isinstance(side, (tuple, list)) else side)


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0
