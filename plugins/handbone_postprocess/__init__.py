"""The first-party post-processors, registered by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


DENSE = "https://arxiv.org/abs/1210.5644"
CONVOLUTIONAL = "https://arxiv.org/abs/1805.04777"


@hookimpl
def handbone_postprocessors(register: Callable[..., Any]) -> None:
    """Register rules on components, morphology, the CRFs and anatomy."""
    register(
        "remove_small",
        "handbone_postprocess.components:build_remove_small",
        options="handbone_postprocess.components:RemoveSmallOptions",
        summary="drops pieces of a bone under an area",
    )
    register(
        "largest_component",
        "handbone_postprocess.components:build_largest_component",
        summary="keeps the largest piece of each bone",
    )
    register(
        "fill_holes",
        "handbone_postprocess.morphology:build_fill_holes",
        options="handbone_postprocess.morphology:FillHolesOptions",
        summary="fills holes in a bone up to an area",
    )
    register(
        "closing",
        "handbone_postprocess.morphology:build_closing",
        options="handbone_postprocess.morphology:DiscOptions",
        summary="closes gaps and notches narrower than a disc",
    )
    register(
        "opening",
        "handbone_postprocess.morphology:build_opening",
        options="handbone_postprocess.morphology:DiscOptions",
        summary="takes off what is narrower than a disc",
    )
    register(
        "dense_crf",
        "handbone_postprocess.crf:build_dense_crf",
        options="handbone_postprocess.crf:DenseCrfOptions",
        summary="fully connected CRF on probabilities and grey values",
        paper=DENSE,
    )
    register(
        "conv_crf",
        "handbone_postprocess.crf:build_conv_crf",
        options="handbone_postprocess.crf:ConvCrfOptions",
        summary="CRF on probabilities and grey values in a window",
        paper=CONVOLUTIONAL,
    )
    register(
        "anatomy",
        "handbone_postprocess.anatomy:build_anatomy",
        options="handbone_postprocess.anatomy:AnatomyOptions",
        summary="drops pieces where no hand has that bone, exchanges swapped bones",
    )
