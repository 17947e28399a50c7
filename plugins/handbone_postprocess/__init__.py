"""The first-party post-processors, registered by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_postprocessors(register: Callable[..., Any]) -> None:
    """Register remove_small and largest_component."""
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
