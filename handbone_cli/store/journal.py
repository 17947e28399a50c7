"""The journal of a store: a line an image, appended, until the manifest takes them all in."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from handbone_cli.files import explain, read_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


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
        for line in read_bytes(self.path).splitlines() if self.path.exists() else ():
            with suppress(ValueError, TypeError, LookupError):
                change = json.loads(line)
                found[change["image_id"]] = change["entry"]
        return found

    def clear(self) -> None:
        """Remove it; the manifest has everything."""
        self.path.unlink(missing_ok=True)


def apply(changes: Mapping[str, Any], images: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest's images after these changes."""
    merged = {**images, **changes}
    return {image_id: entry for image_id, entry in merged.items() if entry is not None}
