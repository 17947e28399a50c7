"""First-party window weights, beside the Gaussian and the uniform one that are built in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_windows(register: Callable[..., Any]) -> None:
    """Register the window weights."""
    register(
        "hann",
        "handbone_windows.hann:build",
        options="handbone_windows.hann:HannOptions",
        summary="raised cosine: windows that overlap by half add up to the same everywhere",
        paper="10.1371/journal.pone.0229839",
    )
