"""First-party loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_loaders(register: Callable[..., Any]) -> None:
    """Register the loaders."""
    register(
        "torch",
        "handbone_loaders.torch_loader:build",
        summary="worker processes over a shared cache of prepared images",
    )
    register(
        "dali",
        "handbone_loaders.dali_loader:build",
        summary="NVIDIA DALI decodes, equalises and warps, on a GPU where there is one",
    )
