"""The locks of a store: one writer at a time, on whatever host; readers never ask."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError
from handbone_cli.files import explain
from handbone_cli.processes import describe_process, is_alive

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "writer.lock"


class WriterLock:
    """A file that says who writes, locked by the kernel as long as they live.

    The kernel gives the lock back however a process ends. Where a file system has no such locks, or
    keeps them from other hosts (some NFS), what is written in the file decides.
    """

    def __init__(self, path: Path) -> None:
        """Take the lock, also that of a process that is over.

        Raises:
            HandboneError: another process has it, or may have it on another host.
        """
        self._path = path
        self._handle: int | None = None
        while self._handle is None:
            self._handle = _take(path)

    def release(self) -> None:
        """Give it back; whoever opened the file meanwhile sees that it is gone, and tries again."""
        if self._handle is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = None


def lock_of(store: Path, part: int = 0) -> Path:
    """The lock of a store's writer, or of one of the processes that write beside it."""
    return store / (f"writer.{part}.lock" if part else LOCK)


def has_ended(store: Path, part: int) -> bool:
    """Whether a process that wrote beside the writer is over; the lock that it left goes away."""
    try:
        WriterLock(lock_of(store, part)).release()
    except HandboneError:
        return False
    return True


def writer_of(store: Path) -> str | None:
    """Who writes a store now, as far as can be known; None where nobody does."""
    owner = _owner(store / LOCK)
    return _named(owner) if owner and is_alive(owner) is not False else None


def _take(path: Path) -> int | None:
    """The file, open and ours; None if it vanished under our hands."""
    try:
        handle, is_new = _open(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain(error, path, "write it") from error
    try:
        kernel = _kernel_lock(handle)
        if kernel and not _is_there(path, handle):
            os.close(handle)
            return None
        _refuse_held(path, kernel=kernel, is_new=is_new)
        _write_owner(path, handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _open(path: Path) -> tuple[int, bool]:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666), True
    except FileExistsError:
        return os.open(path, os.O_RDWR), False


def _kernel_lock(handle: int) -> bool | None:
    """True: ours until the file is closed. False: another's. None: no such locks here."""
    if sys.platform == "win32":
        return None
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_there(path: Path, handle: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _owner(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("pid"), int) else None


def _write_owner(path: Path, handle: int) -> None:
    try:
        os.truncate(handle, 0)
        os.write(handle, json.dumps(describe_process()).encode() + b"\n")
        os.fsync(handle)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise explain(error, path, "write it") from error


def _refuse_held(path: Path, *, kernel: bool | None, is_new: bool) -> None:
    owner = _owner(path)
    alive = is_alive(owner)
    # Without the kernel's word an empty file may be one whose maker is about to write it.
    is_free = is_new or alive is False or (kernel is True and owner is None)
    if kernel is not False and is_free:
        return
    who = _named(owner) if owner else "another process"
    is_sure = kernel is False or alive is True
    over = "" if is_sure else f"; if that one is over, delete {path}"
    raise HandboneError(
        f"{path.parent}: {who} writes this store; wait until it is done, or stop it{over}."
    )


def _named(owner: dict[str, Any]) -> str:
    return f"process {owner['pid']} on {owner.get('host')}"
