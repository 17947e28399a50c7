"""The journals of a store: a line an image, appended, until the manifest takes them all in."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handbone_cli.files import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


JOURNAL = "images.jsonl"
PARTS = ("images.*.jsonl", "writer.*.lock")


@dataclass(frozen=True)
class Journal:
    """Changes of the manifest's images since it was written.

    A manifest that is written anew for every image costs the square of their number.
    """

    path: Path

    def append(self, image_id: str, entry: Mapping[str, Any] | None) -> None:
        """Note an image's entry, or with None that it is forgotten; on disk when this returns.

        Raises:
            HandboneError: it cannot be written; then it is as it was.
        """
        line = json.dumps({"image_id": image_id, "entry": entry}).encode() + b"\n"
        before = self.path.stat().st_size if self.path.exists() else 0
        try:
            with self.path.open("ab") as file:
                file.write(line)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            with suppress(OSError):  # half a line would spoil the next one
                os.truncate(self.path, before)
            raise explain(error, self.path, "write it") from error

    def changes(self) -> dict[str, Any]:
        """Image id -> its last entry, or None; a torn line, which a crash leaves, is left out."""
        found: dict[str, Any] = {}
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:  # or taken in just now
            return found
        except OSError as error:
            raise explain(error, self.path, "read it") from error
        for line in lines:
            with suppress(ValueError, TypeError, LookupError):
                change = json.loads(line)
                found[change["image_id"]] = change["entry"]
        return found

    def clear(self) -> None:
        """Remove it; the manifest has everything."""
        self.path.unlink(missing_ok=True)


def journal_of(store: Path, part: int = 0) -> Journal:
    """The journal of a store's writer, or of one of the processes that write beside it."""
    return Journal(store / (f"images.{part}.jsonl" if part else JOURNAL))


def parts_of(store: Path) -> list[int]:
    """The numbers of the processes of which there is a journal or a lock beside the writer's."""
    names = (path.name for pattern in PARTS for path in store.glob(pattern))
    return sorted({int(number) for name in names if (number := name.split(".")[1]).isdecimal()})


def changes_of(store: Path, parts: Iterable[int]) -> dict[str, Any]:
    """What the journals of the writer (0) and of others say, together."""
    changes: dict[str, Any] = {}
    for part in parts:
        changes |= journal_of(store, part).changes()
    return changes


def apply(changes: Mapping[str, Any], images: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's images after these changes."""
    merged = {**images, **changes}
    return {image_id: entry for image_id, entry in merged.items() if entry is not None}
