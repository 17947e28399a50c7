"""First-party preprocessors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_preprocessors(register: Callable[..., Any]) -> None:
    """Register the preprocessors."""
    register(
        "hand_crop",
        "handbone_preprocess.hand_crop:build",
        options="handbone_preprocess.hand_crop:HandCropOptions",
        summary="cut the image to the hand, found by its brightness (lost Dice for the winners)",
    )
    register(
        "edge_channels",
        "handbone_preprocess.edge_channels:build",
        options="handbone_preprocess.edge_channels:EdgeChannelsOptions",
        summary="grey, Sobel and morphological gradient as channels (lost Dice for the winners)",
    )
