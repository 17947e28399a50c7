"""First-party loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@hookimpl
def handbone_loaders(register: Callable[..., Any]) -> None:
    """Register the loaders."""
    register(
        "torch",
        "handbone_loaders.torch_loader:build",
        summary="torch DataLoader over patches, in order of a seeded shuffle",
    )
