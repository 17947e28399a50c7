"""Whether an encoder fits a decoder: what the network then needs of its images, or why not."""

from __future__ import annotations

import functools
from functools import partial
from typing import TYPE_CHECKING, Any

import segmentation_models_pytorch as smp
import torch

from handbone_models.encoders import COARSEST, TIMM_PREFIX, facts_of, feature_strides
from handbone_models.storage import build_without_storage
from handbone_models.trial import Needs, coarsest_stride, find_needs, takes

if TYPE_CHECKING:
    from torch import nn

USUAL_SIDE = 256
PYRAMIDS = ([1, 2, 4, 8, 16, 32], [2, 4, 8, 16, 32], [4, 8, 16, 32])
"""Strides of feature maps that smp's decoders are made for."""
FROM_STRIDE_2 = (smp.UnetPlusPlus, smp.Linknet)
"""Decoders that need channels at stride 2."""


class UnfitError(Exception):
    """The reason why an encoder does not fit a decoder: a clause for a sentence."""


@functools.lru_cache(maxsize=64)
@torch.inference_mode(mode=False)
@torch.enable_grad()
def examine(architecture: Any, **keywords: Any) -> Needs:
    """Try a network out on a twin without storage, or else on a small image.

    Args:
        architecture: smp's class.
        **keywords: its arguments but for the weights; asked again, the answer is remembered.

    Raises:
        UnfitError: the encoder cannot be built so, or takes no image.
    """
    construct = partial(architecture, encoder_weights=None, **keywords)
    encoder, channels = keywords["encoder_name"], keywords["in_channels"]
    side = facts_of(encoder).side or USUAL_SIDE
    stride = _output_stride(construct)
    for build_twin in (build_without_storage, _build_with_numbers):
        try:
            twin: Any = build_twin(construct)
        except Exception as error:  # smp and timm refuse an encoder in many ways
            reason = _why_not(construct, encoder) or _unforeseen(construct, error)
            raise UnfitError(reason) from error
        if stride < COARSEST and coarsest_stride(twin.encoder, channels, USUAL_SIDE) != stride:
            break
        needs = find_needs(twin, channels, sorted({twin.encoder.output_stride, COARSEST, side}))
        if needs is not None:
            return needs
        if takes(twin, channels, side):
            raise UnfitError(f"it takes images of {side} x {side} px alone")
        if coarsest_stride(twin.encoder, channels, side):
            break
    raise UnfitError(_why_not(construct, encoder) or "its feature maps do not fit the decoder")


def _build_with_numbers(construct: partial[nn.Module]) -> nn.Module:
    """For the few networks of timm that the meta device cannot run."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):  # type: ignore[no-untyped-call]
        return construct()


def _why_not(construct: partial[nn.Module], encoder: str) -> str:
    """What is known of both that speaks against them, or ''."""
    if construct.func is smp.DPT:
        timm_name = encoder.startswith(TIMM_PREFIX)
        return "" if timm_name else f"it takes encoders of timm, named '{TIMM_PREFIX}NAME'"
    strides = feature_strides(encoder)
    if strides is None:
        return "timm gives no feature maps of it"
    if strides not in PYRAMIDS:
        has = f"strides {', '.join(map(str, strides))}"
        has = f"stride {strides[0]} throughout" if len({*strides}) == 1 else has
        return f"its feature maps have {has}, and the decoder needs 2 or 4 to {COARSEST}"
    if construct.func in FROM_STRIDE_2 and strides[0] > 2:
        return "it has no feature map at stride 2"
    stride = _output_stride(construct)
    return f"it cannot be dilated to `output_stride = {stride}`" if stride < COARSEST else ""


def _output_stride(construct: partial[nn.Module]) -> int:
    names = ("encoder_output_stride", "output_stride")
    return min(construct.keywords.get(name, COARSEST) for name in names)


def _unforeseen(construct: partial[nn.Module], error: Exception) -> str:
    if construct.func is smp.DPT:
        return "timm does not give four feature maps of it"
    first = next(iter(str(error).strip().splitlines()), "").rstrip(".!")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
