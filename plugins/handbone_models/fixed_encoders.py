"""Decoders under names of their own on one encoder each, as the papers combine them."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from handbone_models.smp_decoders import FIXED_UPERNET, SEGFORMER, UNET, Decoder, build

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

FAMILIES: tuple[tuple[str, Decoder, str], ...] = (
    (r"segformer_(b[0-5])", SEGFORMER, r"mit_\1"),  # Xie et al. 2021, arXiv:2105.15203
    (r"unet_(mit_b[0-5])", UNET, r"\1"),
    (r"unet_efficientnet_(b[0-7])", UNET, r"efficientnet-\1"),  # Tan and Le 2019, arXiv:1905.11946
    # Liu et al. 2021, arXiv:2103.14030
    (r"upernet_swin_(tiny|small|base)", FIXED_UPERNET, r"tu-swin_\1_patch4_window7_224"),
    # Liu et al. 2022, arXiv:2201.03545
    (r"upernet_(convnext_(tiny|small|base|large))", FIXED_UPERNET, r"tu-\1"),
)
"""Models' names, their decoder, and what of the name their encoder is called by."""


def __getattr__(attribute: str) -> Callable[..., nn.Module]:
    """The builder of a model, `build_NAME`, as it is registered by path."""
    for pattern, decoder, form in FAMILIES:
        found = re.fullmatch(f"build_({pattern})", attribute)
        if found:
            name = found[1]
            return partial(build, decoder=decoder, name=name, encoder=re.sub(pattern, form, name))
    raise AttributeError(f"module '{__name__}' has no attribute '{attribute}'")
