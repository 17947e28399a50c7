"""The first-party views of test-time augmentation and sets of them, registered by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_tta(register: Callable[..., Any]) -> None:
    """Register the mirrored, turned and resized views, and the sets flip and flip_rotate."""
    register("hflip", "handbone_tta.dihedral:build_hflip", summary="mirrored left to right")
    register("vflip", "handbone_tta.dihedral:build_vflip", summary="mirrored top to bottom")
    register(
        "rot90",
        "handbone_tta.dihedral:build_rot90",
        options="handbone_tta.dihedral:Rot90Options",
        summary="turned by quarter turns",
    )
    register("rot180", "handbone_tta.dihedral:build_rot180", summary="turned by half a turn")
    register(
        "rot270", "handbone_tta.dihedral:build_rot270", summary="turned a quarter turn clockwise"
    )
    register(
        "flip",
        "handbone_tta.dihedral:build_flip",
        summary="3 views: hflip, vflip and rot180, which is both",
    )
    register(
        "flip_rotate",
        "handbone_tta.dihedral:build_flip_rotate",
        summary="7 views: the quarter turns, and the image and each of them mirrored",
    )
    register(
        "scale",
        "handbone_tta.scale:build",
        options="handbone_tta.scale:ScaleOptions",
        summary="resized by a factor",
        example={"factor": 0.75},
    )
    register(
        "multi_scale",
        "handbone_tta.scale:build_multi_scale",
        options="handbone_tta.scale:MultiScaleOptions",
        summary="a view resized by each of several factors",
    )
    register(
        "rotate",
        "handbone_tta.rotate:build",
        options="handbone_tta.rotate:RotateOptions",
        summary="turned by a small angle",
        example={"degrees": 5.0},
    )
