"""A process: named so that another one knows whether it lives, and told to stop by Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


def describe_process() -> dict[str, Any]:
    """What run.json and a store's lock say of a process: host, number, and since when it has it."""
    pid = os.getpid()
    return {"host": socket.gethostname(), "pid": pid, "since": since(pid)}


def since(pid: int) -> str:
    """When a process began, in the words of the system; '' if there is none or it is over.

    A process number is given out again and again; with its beginning it is unique.
    """
    try:
        # The name may hold spaces and brackets; what follows the last bracket does not.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return _since_elsewhere(pid)
    return "" if fields[0] in "ZX" else fields[19]


def _since_elsewhere(pid: int) -> str:
    """The same where there is no /proc (macOS)."""
    if Path("/proc/self/stat").exists():
        return ""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return done.stdout.strip()


def is_alive(process: dict[str, Any] | None) -> bool | None:
    """Whether a process is still there; None if it is on another host or unknown."""
    if not process or process.get("host") != socket.gethostname():
        return None
    began = since(int(process["pid"]))
    return began != "" and began == process.get("since")


@contextlib.contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """A flag that the first Ctrl-C (or SIGTERM) sets; the second one breaks off at once."""
    flag = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return

    def ask(_number: int, _frame: object) -> None:
        if flag.is_set():
            raise KeyboardInterrupt
        flag.set()

    with asked_to_stop(ask):
        yield flag


@contextlib.contextmanager
def asked_to_stop(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Give Ctrl-C and SIGTERM to a handler; to those before it again at the end."""
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
