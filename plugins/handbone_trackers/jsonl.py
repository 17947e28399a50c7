"""Figures of a run as JSON lines."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handbone_cli import make_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from handbone_cli import Options, TrackerContext


@dataclass(frozen=True)
class JsonlTracker:
    """Appends to a file that is open only while a line is written: nothing is lost or left open."""

    path: Path

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """Append `{"event": event, **values}`; numbers that JSON does not have become null."""
        line = json.dumps(_finite({"event": event, **values}), ensure_ascii=False, allow_nan=False)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def close(self) -> None:
        """Nothing is open between lines."""


def build(options: Options, context: TrackerContext) -> JsonlTracker:
    """Lines in `metrics.jsonl` of the run directory, after those of a run that is resumed.

    Raises:
        HandboneError: the run directory cannot be written.
    """
    return JsonlTracker(make_folder(context.run_directory) / "metrics.jsonl")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
