"""First-party datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import hookimpl

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


@hookimpl
def handbone_datasets(register: Callable[..., Any]) -> None:
    """Register the datasets."""
    register(
        "competition",
        "handbone_datasets.competition:build",
        options="handbone_datasets.competition:CompetitionOptions",
        summary="train/DCM/ID/*.png with polygons in outputs_json, test/DCM, 29 bones",
    )
    register(
        "generated",
        "handbone_datasets.generated:build",
        options="handbone_datasets.generated:GeneratedOptions",
        summary="hands drawn from a shape model of 288 real ones, rendered as radiographs",
    )
