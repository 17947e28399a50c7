"""Safe files: whole or not at all (temporary name, fsync, rename); errors name the path."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNK = 2**22
"""Bytes read at a time."""
HEAD = 4096
"""Bytes at the start of a file that say who wrote it."""


def explain(error: OSError, path: Path, doing: str) -> HandboneError:
    """Turn an OSError into one sentence that names the path and the way out."""
    reasons = {
        errno.ENOSPC: "the disk is full; free some space, then run the same command again",
        errno.EACCES: "permission is denied; choose a folder that you may write to",
        errno.EROFS: "the file system is read-only; choose another folder",
        errno.EPERM: "the operation is not permitted there; choose another folder",
        errno.ENOTDIR: "a part of that path is a file, not a folder",
        errno.EEXIST: "a file of that name is in the way",
        errno.EISDIR: "that is a folder, and a file was expected",
        errno.ENOENT: "there is no such file or folder",
    }
    reason = reasons.get(error.errno or 0, (error.strerror or str(error)).lower())
    return HandboneError(f"{path}: cannot {doing}: {reason}.")


def make_folder(path: Path) -> Path:
    """Create a folder with its parents; one sentence if that cannot be done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "denied")
    except OSError as error:
        raise explain(error, path, "write there") from error
    return path


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file beside `path`; flush, fsync and rename it when the block ends well."""
    make_folder(path.parent)
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(
            prefix=f".{path.name}.", suffix=".tmp", dir=path.parent
        )
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o666 & ~_umask())
        Path(temporary).replace(path)
        temporary = None
    except OSError as error:
        raise explain(error, path, "write it") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                Path(temporary).unlink()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_bytes(path: Path, content: bytes) -> None:
    """Write a whole file atomically."""
    with atomic_write(path) as file:
        file.write(content)


def write_text(path: Path, content: str) -> None:
    """Write a whole UTF-8 text file atomically."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Write JSON atomically, readable by people."""
    write_text(path, json.dumps(content, indent=1, sort_keys=False) + "\n")


def claim_folder(folder: Path, mark: str, settings: dict[str, Any]) -> None:
    """Mark a folder, new or empty, as made by us with settings, in the JSON file `mark`.

    Raises:
        HandboneError: as `refuse_claimed`.
    """
    refuse_claimed(folder, mark, settings)
    if not (folder / mark).exists():
        write_json(folder / mark, settings)


def refuse_claimed(folder: Path, mark: str, settings: dict[str, Any]) -> None:
    """Refuse a folder that `claim_folder` would refuse; nothing is written.

    Raises:
        HandboneError: it was made with other settings, or holds files that are not ours.
    """
    if (folder / mark).exists():
        if read_json(folder / mark) != settings:
            raise HandboneError(
                f"{folder}: holds files made with other settings ({mark}); choose another folder, "
                "or delete it."
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise HandboneError(f"{folder}: the folder is not empty; choose another one.")


def read_bytes(path: Path) -> bytes:
    """Read a whole file; one sentence if it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise explain(error, path, "read it") from error


def read_json(path: Path) -> Any:
    """Read JSON; one sentence with the line if it is not JSON."""
    try:
        return json.loads(read_bytes(path))
    except json.JSONDecodeError as error:
        raise HandboneError(f"{path}: not JSON (line {error.lineno}: {error.msg}).") from error
    except UnicodeDecodeError as error:
        raise HandboneError(f"{path}: not JSON (it is not text).") from error


def require(path: Path, what: str) -> Path:
    """Return the path if it exists; otherwise one sentence that says what was expected."""
    if not path.exists():
        raise HandboneError(f"{path}: no such file or folder; expected {what}.")
    return path


def refuse_foreign(path: Path, what: str, is_ours: Callable[[bytes], bool]) -> None:
    """Refuse to write over a file that hb did not make; called before the work begins.

    Args:
        path: where something is to be written. A file that is not there, or empty, is free.
        what: what hb would write there, for the sentence.
        is_ours: the first HEAD bytes of the file -> whether hb wrote one of these.

    Raises:
        HandboneError: a file of something else is there, or it is no regular file.
    """
    if path.is_dir() or not path.exists():
        return
    # What is no regular file (a device, a pipe) must be neither read nor replaced.
    head = _read_head(path) if path.is_file() else b"?"
    if head and not is_ours(head):
        raise HandboneError(
            f"{path}: is there already and is not {what} that hb wrote; choose another -o, or "
            "remove that file first."
        )


def _read_head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError as error:
        raise explain(error, path, "read it") from error


def digest(content: bytes) -> str:
    """SHA-256 of some bytes, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file that may be larger than the memory."""
    found = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                found.update(chunk)
    except OSError as error:
        raise explain(error, path, "read it") from error
    return found.hexdigest()


def digest_json(content: Any) -> str:
    """SHA-256 of a JSON-able value in canonical form."""
    return digest(json.dumps(content, sort_keys=True, separators=(",", ":")).encode())
