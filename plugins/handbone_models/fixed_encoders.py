"""Decoders under names of their own on one encoder each, as the papers combine them."""

from __future__ import annotations

from functools import partial

from handbone_models.smp_decoders import FIXED_UPERNET, SEGFORMER, UNET, build

# Xie et al. 2021, arXiv:2105.15203; the encoders are the mix transformers of the same paper.
build_segformer_b0 = partial(build, decoder=SEGFORMER, name="segformer_b0", encoder="mit_b0")
build_segformer_b1 = partial(build, decoder=SEGFORMER, name="segformer_b1", encoder="mit_b1")
build_segformer_b2 = partial(build, decoder=SEGFORMER, name="segformer_b2", encoder="mit_b2")
build_segformer_b3 = partial(build, decoder=SEGFORMER, name="segformer_b3", encoder="mit_b3")
build_segformer_b4 = partial(build, decoder=SEGFORMER, name="segformer_b4", encoder="mit_b4")
build_segformer_b5 = partial(build, decoder=SEGFORMER, name="segformer_b5", encoder="mit_b5")

build_unet_mit_b0 = partial(build, decoder=UNET, name="unet_mit_b0", encoder="mit_b0")
build_unet_mit_b1 = partial(build, decoder=UNET, name="unet_mit_b1", encoder="mit_b1")
build_unet_mit_b2 = partial(build, decoder=UNET, name="unet_mit_b2", encoder="mit_b2")
build_unet_mit_b3 = partial(build, decoder=UNET, name="unet_mit_b3", encoder="mit_b3")
build_unet_mit_b4 = partial(build, decoder=UNET, name="unet_mit_b4", encoder="mit_b4")
build_unet_mit_b5 = partial(build, decoder=UNET, name="unet_mit_b5", encoder="mit_b5")

# Tan and Le 2019, arXiv:1905.11946.
build_unet_efficientnet_b0 = partial(
    build, decoder=UNET, name="unet_efficientnet_b0", encoder="efficientnet-b0"
)
build_unet_efficientnet_b1 = partial(
    build, decoder=UNET, name="unet_efficientnet_b1", encoder="efficientnet-b1"
)
build_unet_efficientnet_b2 = partial(
    build, decoder=UNET, name="unet_efficientnet_b2", encoder="efficientnet-b2"
)
build_unet_efficientnet_b3 = partial(
    build, decoder=UNET, name="unet_efficientnet_b3", encoder="efficientnet-b3"
)
build_unet_efficientnet_b4 = partial(
    build, decoder=UNET, name="unet_efficientnet_b4", encoder="efficientnet-b4"
)
build_unet_efficientnet_b5 = partial(
    build, decoder=UNET, name="unet_efficientnet_b5", encoder="efficientnet-b5"
)
build_unet_efficientnet_b6 = partial(
    build, decoder=UNET, name="unet_efficientnet_b6", encoder="efficientnet-b6"
)
build_unet_efficientnet_b7 = partial(
    build, decoder=UNET, name="unet_efficientnet_b7", encoder="efficientnet-b7"
)

# Liu et al. 2021, arXiv:2103.14030.
build_upernet_swin_tiny = partial(
    build,
    decoder=FIXED_UPERNET,
    name="upernet_swin_tiny",
    encoder="tu-swin_tiny_patch4_window7_224",
)
build_upernet_swin_small = partial(
    build,
    decoder=FIXED_UPERNET,
    name="upernet_swin_small",
    encoder="tu-swin_small_patch4_window7_224",
)
build_upernet_swin_base = partial(
    build,
    decoder=FIXED_UPERNET,
    name="upernet_swin_base",
    encoder="tu-swin_base_patch4_window7_224",
)

# Liu et al. 2022, arXiv:2201.03545.
build_upernet_convnext_tiny = partial(
    build, decoder=FIXED_UPERNET, name="upernet_convnext_tiny", encoder="tu-convnext_tiny"
)
build_upernet_convnext_small = partial(
    build, decoder=FIXED_UPERNET, name="upernet_convnext_small", encoder="tu-convnext_small"
)
build_upernet_convnext_base = partial(
    build, decoder=FIXED_UPERNET, name="upernet_convnext_base", encoder="tu-convnext_base"
)
build_upernet_convnext_large = partial(
    build, decoder=FIXED_UPERNET, name="upernet_convnext_large", encoder="tu-convnext_large"
)
