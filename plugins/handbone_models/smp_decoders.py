"""U-Net and DeepLabV3+ of segmentation_models_pytorch on any of its encoders."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import segmentation_models_pytorch as smp
import timm

from handbone_cli import HandboneError
from handbone_models.pretrained import explain_failure

if TYPE_CHECKING:
    from torch import nn

    from handbone_cli import ModelContext
    from handbone_models.options import Deeplabv3PlusOptions, UnetOptions

TIMM_PREFIX = "tu-"
FAMILIAR_ENCODERS = ("resnet34", "resnet50", "efficientnet-b2", "mobilenet_v2", "mit_b2")


def build_unet(options: UnetOptions, context: ModelContext) -> nn.Module:
    """U-Net with skip connections from an ImageNet encoder.

    Ronneberger et al. 2015, arXiv:1505.04597. (N, in_channels, h, w) -> (N, classes, h, w),
    h and w multiples of 32.

    Raises:
        HandboneError: an unknown or unsuitable encoder, or weights that cannot be downloaded.
    """
    return _build("unet", smp.Unet, options, context, decoder_channels=options.decoder_channels)


def build_deeplabv3plus(options: Deeplabv3PlusOptions, context: ModelContext) -> nn.Module:
    """DeepLabV3+: atrous pyramid at stride 16, refined at stride 4.

    Chen et al. 2018, arXiv:1802.02611. (N, in_channels, h, w) -> (N, classes, h, w), h and w
    multiples of 16. Training needs N >= 2: the image-pooling branch normalises over the batch.

    Raises:
        HandboneError: an unknown encoder, one without dilated convolutions, or weights that
            cannot be downloaded.
    """
    return _build("deeplabv3plus", smp.DeepLabV3Plus, options, context)


def _build(
    name: str,
    architecture: Any,
    options: UnetOptions | Deeplabv3PlusOptions,
    context: ModelContext,
    **extra: Any,
) -> nn.Module:
    _require_encoder(name, options.encoder)
    with explain_failure(name, options.encoder, pretrained=options.pretrained):
        model: nn.Module = architecture(
            encoder_name=options.encoder,
            encoder_weights=_weights(options.encoder) if options.pretrained else None,
            in_channels=context.in_channels,
            classes=context.classes,
            **extra,
        )
    return model


def _weights(encoder: str) -> str | bool:
    return True if encoder.startswith(TIMM_PREFIX) else "imagenet"


def _require_encoder(model: str, encoder: str) -> None:
    known = smp.encoders.get_encoder_names()
    timm_name = encoder.removeprefix(TIMM_PREFIX)
    if encoder in known or (timm_name != encoder and timm.is_model(timm_name)):
        return
    names = [*known, *(TIMM_PREFIX + name for name in timm.list_models())]
    near = get_close_matches(encoder, names, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? Among others there are" if near else "there are"
    raise HandboneError(
        f"model '{model}' has no encoder '{encoder}'; {hint} {', '.join(FAMILIAR_ENCODERS)}, "
        f"and every timm model as '{TIMM_PREFIX}NAME'."
    )
