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
    """Register jsonl, tensorboard and wandb."""
    register(
        "jsonl",
        "handbone_trackers.jsonl:build",
        summary="one JSON object a line in RUN/metrics.jsonl; every run has it",
    )
    register(
        "tensorboard",
        "handbone_trackers.tensorboard:TensorBoardTracker",
        options="handbone_trackers.options:TensorBoardOptions",
        summary="curves and pictures in RUN/tensorboard (extra: tensorboard)",
    )
    register(
        "wandb",
        "handbone_trackers.wandb:WandbTracker",
        options="handbone_trackers.options:WandbOptions",
        summary="curves and pictures to Weights & Biases, online or in RUN/wandb (extra: wandb)",
        example={"mode": "offline"},
    )
