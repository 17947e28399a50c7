"""The first-party trackers, registered by path."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

HANDBONE_API = 1


@hookimpl
def handbone_trackers(register: Callable[..., Any]) -> None:
    """Register jsonl."""
    register(
        "jsonl",
        "handbone_trackers.jsonl:build",
        summary="one JSON object a line in RUN/metrics.jsonl",
    )
