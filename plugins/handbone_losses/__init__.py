"""The first-party losses, registered by path: nothing is imported until one is built."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@hookimpl
def handbone_losses(register: Callable[..., Any]) -> None:
    """Register bce, dice, focal and combined."""
    register(
        "bce",
        "handbone_losses.bce:build",
        summary="binary cross-entropy, the mean of all pixels and classes",
    )
    register(
        "dice",
        "handbone_losses.dice:build",
        options="handbone_losses.options:DiceOptions",
        summary="soft Dice of each class, over the batch or image by image",
    )
    register(
        "focal",
        "handbone_losses.focal:build",
        options="handbone_losses.options:FocalOptions",
        summary="cross-entropy that looks away from what is already right",
    )
    register(
        "combined",
        "handbone_losses.combined:build",
        options="handbone_losses.options:CombinedOptions",
        summary="a weighted sum of other losses",
    )
