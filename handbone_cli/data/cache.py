"""Arrays at rest between runs: a file each, mapped into memory, shared by all processes."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.data.images import find_fault
from handbone_cli.errors import HandboneError
from handbone_cli.files import atomic_write, digest, digest_json, read_bytes, write_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAGIC = b"HBARRAY1"
OURS = re.compile(r"[0-9a-f]{64}\.(array|json)")
"""Names of the files in a cache."""
RESERVE = 2**30
"""Bytes that stay free on the cache's disk."""
PAGE = 64
"""Pixels begin at a multiple of this."""


def cache_folder(chosen: bool | Path) -> Path | None:  # noqa: FBT001  the recipe's value as it is
    """The folder that `data.cache` names: a path, the user's own cache for true, None for false.

    The user's own is $HANDBONE_CACHE, else $XDG_CACHE_HOME/handbone, else ~/.cache/handbone.
    """
    if isinstance(chosen, Path):
        return chosen
    if not chosen:
        return None
    if os.environ.get("HANDBONE_CACHE"):
        return Path(os.environ["HANDBONE_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "handbone"


def require_room(folder: Path, size: int) -> None:
    """Leave a disk a GiB: a cache must not fill it.

    Raises:
        HandboneError: so many bytes would leave less.
    """
    there = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(there).free
    if free < size + RESERVE:
        raise HandboneError(
            f"{folder}: only {free / 2**30:.1f} GiB are free there; free some space, or name "
            "another folder with data.cache, or false."
        )


@dataclass(frozen=True)
class ArrayCache:
    """Arrays with a few facts beside each, by key.

    A file is whole or not there (written under another name, then renamed), so that any number of
    processes may read and write at once and be killed at any time; equal keys mean equal content.
    """

    folder: Path

    def place(self, key: str) -> Path:
        """The file of a key."""
        return self.folder / key[:2] / f"{key}.array"

    def get(self, key: str) -> tuple[NDArray[Any], dict[str, Any]] | None:
        """The array, mapped and read-only, and its facts; None if there is none or a torn one."""
        path = self.place(key)
        try:
            with path.open("rb") as file:
                start = file.read(len(MAGIC) + 4)
                if not start.startswith(MAGIC) or len(start) < len(MAGIC) + 4:
                    return None
                (length,) = struct.unpack("<I", start[len(MAGIC) :])
                header = json.loads(file.read(length))
            shape, dtype = tuple(header["shape"]), np.dtype(header["dtype"])
            offset = _offset(length)
            if path.stat().st_size != offset + int(np.prod(shape)) * dtype.itemsize:
                return None
            if 0 in shape:
                return np.zeros(shape, dtype), header["facts"]
            mapped = np.memmap(path, dtype, "r", offset, shape)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return np.asarray(mapped), header["facts"]

    def put(self, key: str, array: NDArray[Any], facts: dict[str, Any]) -> None:
        """Keep an array.

        Raises:
            HandboneError: the folder cannot be written or the disk is full.
        """
        shape, dtype = list(array.shape), array.dtype.str
        header = json.dumps({"shape": shape, "dtype": dtype, "facts": facts}).encode()
        with atomic_write(self.place(key)) as file:
            file.write(MAGIC + struct.pack("<I", len(header)) + header)
            file.write(bytes(_offset(len(header)) - file.tell()))
            file.write(np.ascontiguousarray(array).data)

    def size(self) -> int:
        """Bytes on disk."""
        files = self.folder.rglob("*") if self.folder.is_dir() else ()
        return sum(path.stat().st_size for path in files if path.is_file())

    def clear(self) -> int:
        """Delete everything in the folder that is ours, and give the bytes that were freed."""
        freed = 0
        for path in list(self.folder.glob("??/*")):
            if OURS.fullmatch(path.name):
                freed += path.stat().st_size
                path.unlink()
        for below in self.folder.glob("??"):
            with contextlib.suppress(OSError):  # not empty: not ours alone
                below.rmdir()
        return freed


def _offset(header: int) -> int:
    return -(-(len(MAGIC) + 4 + header) // PAGE) * PAGE


@dataclass(frozen=True)
class FileDigest:
    """What is known of a file's content.

    Attributes:
        digest: SHA-256 of the content.
        fault: what is wrong with it as an image, or None.
    """

    digest: str
    fault: str | None


@dataclass
class FileDigests:
    """Digests of files, read anew only where size or time of change differ from last time.

    Attributes:
        folder: where they are remembered between runs; None: in this process alone.
    """

    folder: Path | None
    _known: dict[Path, FileDigest] = field(default_factory=dict)

    def get(self, path: Path, *, image: bool = True) -> FileDigest:
        """The digest of a file, and its fault if it should be an image.

        Raises:
            HandboneError: the file cannot be read.
        """
        if path not in self._known:
            self._known[path] = self._remembered(path, image=image)
        return self._known[path]

    def _remembered(self, path: Path, *, image: bool) -> FileDigest:
        try:
            stat = path.stat()
        except OSError:
            stat = None  # reading it will say why
        mark = [str(path.resolve()), stat.st_size, stat.st_mtime_ns, image] if stat else []
        key = digest_json(str(path.resolve()))
        place = self.folder / key[:2] / f"{key}.json" if self.folder else None
        if place and place.exists():
            try:
                content = json.loads(place.read_bytes())
                if content["mark"] == mark:
                    return FileDigest(content["digest"], content["fault"])
            except (OSError, ValueError, KeyError, TypeError):
                pass  # a torn note is written anew
        content = read_bytes(path)
        found = FileDigest(digest(content), find_fault(content) if image else None)
        if place:
            try:
                write_json(place, {"mark": mark, "digest": found.digest, "fault": found.fault})
            except HandboneError:
                self.folder = None  # a full disk costs the memory of it, not the run
        return found
