"""The first-party models, registered by path: nothing is imported until one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@hookimpl
def handbone_models(register: Callable[..., Any]) -> None:
    """Register nnunet, unet, deeplabv3plus and hrnet."""
    register(
        "nnunet",
        "handbone_models.nnunet:build",
        options="handbone_models.options:NnunetOptions",
        summary="plain U-Net as nnU-Net plans it",
        divisor=32,  # of the default features; the built model carries its own
    )
    register(
        "unet",
        "handbone_models.smp_decoders:build_unet",
        options="handbone_models.options:UnetOptions",
        summary="U-Net decoder on an ImageNet encoder (segmentation_models_pytorch)",
        divisor=32,
    )
    register(
        "deeplabv3plus",
        "handbone_models.smp_decoders:build_deeplabv3plus",
        options="handbone_models.options:Deeplabv3PlusOptions",
        summary="DeepLabV3+ on an ImageNet encoder (segmentation_models_pytorch)",
        divisor=16,
    )
    register(
        "hrnet",
        "handbone_models.hrnet:build",
        options="handbone_models.options:HrnetOptions",
        summary="HRNetV2: high resolution kept throughout (timm)",
        divisor=32,
    )
