"""The first-party views of test-time augmentation, registered by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_tta(register: Callable[..., Any]) -> None:
    """Register hflip, vflip, rot90 and scale."""
    register("hflip", "handbone_tta.flips:build_hflip", summary="mirrored left to right")
    register("vflip", "handbone_tta.flips:build_vflip", summary="mirrored top to bottom")
    register(
        "rot90",
        "handbone_tta.rot90:build",
        options="handbone_tta.rot90:Rot90Options",
        summary="turned by quarter turns",
    )
    register(
        "scale",
        "handbone_tta.scale:build",
        options="handbone_tta.scale:ScaleOptions",
        summary="resized by a factor",
        example={"factor": 0.75},
    )
