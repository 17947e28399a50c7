"""The first-party models, registered by path: nothing is imported until one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_models(register: Callable[..., Any]) -> None:
    """Register the models."""
    register(
        "nnunet",
        "handbone_models.nnunet:build",
        options="handbone_models.nnunet_options:NnunetOptions",
        summary="plain U-Net as nnU-Net plans it",
        divisor=32,  # of the default features; the built model carries its own
        paper="arXiv:1904.08128",
        planner="handbone_models.nnunet_plan:plan",
    )
    register(
        "nnunet_resenc",
        "handbone_models.nnunet_resenc:build",
        options="handbone_models.nnunet_options:NnunetResencOptions",
        summary="U-Net with a residual encoder, nnU-Net's presets M and L",
        divisor=32,  # likewise
        paper="arXiv:2404.09556",
        planner="handbone_models.nnunet_plan:plan_resenc",
    )
    register(
        "compact_unet",
        "handbone_models.compact_unet:build",
        options="handbone_models.compact_options:CompactUnetOptions",
        summary="small U-Net at half the resolution, pixel-shuffled back: for CPUs",
        divisor=32,  # of the default features
        paper="arXiv:1505.04597",
    )
    register(
        "coarse_to_fine",
        "handbone_models.coarse_to_fine:build",
        options="handbone_models.compact_options:CoarseToFineOptions",
        summary="finds each hand on the film, then outlines it upright: 29 bones, any film",
        divisor=1,
        paper="doi:10.1145/358669.358692",
    )
    _register_smp_decoders(register)
    _register_fixed_encoders(register)
    for width in (18, 32, 48):
        register(
            f"hrnet_w{width}",
            f"handbone_models.hrnet:build_w{width}",
            options="handbone_models.hrnet_options:HrnetOptions",
            summary=f"HRNetV2-W{width}: high resolution kept throughout (timm)",
            divisor=32,
            paper="arXiv:1908.07919",
        )
        register(
            f"hrnet_ocr_w{width}",
            f"handbone_models.hrnet:build_ocr_w{width}",
            options="handbone_models.hrnet_options:HrnetOptions",
            summary=f"HRNetV2-W{width} with object-contextual representations",
            divisor=32,
            paper="arXiv:1909.11065",
        )
    for depth in (50, 101):
        register(
            f"fcn_resnet{depth}",
            f"handbone_models.fcn:build_resnet{depth}",
            options="handbone_models.fcn_options:FcnOptions",
            summary=f"fully convolutional network on a dilated ResNet-{depth} (torchvision)",
            divisor=8,
            paper="arXiv:1411.4038",
        )


def _register_smp_decoders(register: Callable[..., Any]) -> None:
    """The decoders of segmentation_models_pytorch, with the divisors of their default encoders."""
    for name, options, divisor, paper, summary in (
        ("unet", "Unet", 32, "arXiv:1505.04597", "U-Net: skip connections at each resolution"),
        ("unetplusplus", "UnetPlusPlus", 32, "arXiv:1807.10165", "UNet++: nested skip connections"),
        (
            "manet",
            "Manet",
            32,
            "doi:10.1109/ACCESS.2020.3025372",
            "MA-Net: U-Net with attention between positions and between scales",
        ),
        ("linknet", "Linknet", 32, "arXiv:1707.03718", "LinkNet: skip connections that are added"),
        ("fpn", "Fpn", 32, "arXiv:1901.02446", "feature pyramid, its levels added at stride 4"),
        ("pspnet", "Pspnet", 8, "arXiv:1612.01105", "PSPNet: poolings of a dilated encoder"),
        ("pan", "Pan", 16, "arXiv:1805.10180", "PAN: attention over a pyramid of poolings"),
        ("deeplabv3", "Deeplabv3", 8, "arXiv:1706.05587", "DeepLabV3: atrous pyramid at stride 8"),
        (
            "deeplabv3plus",
            "Deeplabv3Plus",
            16,
            "arXiv:1802.02611",
            "DeepLabV3+: atrous pyramid at stride 16, refined at stride 4",
        ),
        ("upernet", "Upernet", 32, "arXiv:1807.10221", "UPerNet: pooling and feature pyramids"),
        ("segformer", "Segformer", 32, "arXiv:2105.15203", "SegFormer's decoder on any encoder"),
        ("dpt", "Dpt", 32, "arXiv:2103.13413", "DPT: a vision transformer read at four depths"),
    ):
        register(
            name,
            f"handbone_models.smp_decoders:build_{name}",
            options=f"handbone_models.smp_options:{options}Options",
            summary=summary,
            divisor=divisor,
            paper=paper,
        )


def _register_fixed_encoders(register: Callable[..., Any]) -> None:
    """Decoders on the encoders that papers combine them with."""

    def add(name: str, options: str, paper: str, summary: str) -> None:
        register(
            name,
            f"handbone_models.fixed_encoders:build_{name}",
            options=f"handbone_models.smp_options:{options}Options",
            summary=summary,
            divisor=32,
            paper=paper,
        )

    for size in range(6):
        options = "SmallSegformer" if size < 2 else "LargeSegformer"
        summary = f"SegFormer-B{size}: mix transformer, decoder without convolutions"
        add(f"segformer_b{size}", options, "arXiv:2105.15203", summary)
        summary = f"U-Net decoder on SegFormer's mix transformer B{size}"
        add(f"unet_mit_b{size}", "FixedUnet", "arXiv:2105.15203", summary)
    for size in range(8):
        summary = f"U-Net decoder on EfficientNet-B{size}"
        add(f"unet_efficientnet_b{size}", "FixedUnet", "arXiv:1905.11946", summary)
    for word in ("tiny", "small", "base"):
        summary = f"UPerNet on Swin, {word}: windowed attention"
        add(f"upernet_swin_{word}", "FixedUpernet", "arXiv:2103.14030", summary)
    for word in ("tiny", "small", "base", "large"):
        options = "FixedUpernet" if word == "small" else "DroppingUpernet"
        summary = f"UPerNet on ConvNeXt, {word}"
        add(f"upernet_convnext_{word}", options, "arXiv:2201.03545", summary)
