"""The process of a run: who it is, whether it still lives, how it is started and stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

POLL = 0.1
"""Seconds between looks at a process that was asked to stop."""


def describe_process() -> dict[str, Any]:
    """What run.json says of the process that trains: host, number, and since when it has it."""
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
    """Whether the process of a run is still there; None if it is on another host or unknown."""
    if not process or process.get("host") != socket.gethostname():
        return None
    began = since(int(process["pid"]))
    return began != "" and began == process.get("since")


def start_detached(words: Sequence[str], log: Path) -> int:
    """Run `hb WORDS` in a session of its own, which outlives this terminal; gives its number.

    Args:
        words: the command line after `hb`.
        log: takes stdout and stderr, appended.
    """
    with log.open("ab") as file:
        return _spawn([sys.executable, "-m", "handbone_cli", *words], file)


def _spawn(command: list[str], file: IO[bytes]) -> int:
    return subprocess.Popen(  # noqa: S603  our own argv
        command,
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ).pid


def stop(
    process: dict[str, Any] | None,
    name: str,
    patience: float,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Ask a run to save itself and stop, as Ctrl-C does, and wait until it has.

    Raises:
        HandboneError: it does not run, runs on another host, or has not stopped in `patience` s.
    """
    alive = is_alive(process)
    if alive is None or process is None:
        host = (process or {}).get("host", "an unknown host")
        raise HandboneError(f"{name}: runs on {host}, not here; stop it there.")
    if not alive:
        raise HandboneError(f"{name}: does not run.")
    os.kill(int(process["pid"]), signal.SIGINT)
    for _ in range(int(patience / POLL)):
        if not is_alive(process):
            return
        wait(POLL)
    raise HandboneError(
        f"{name}: has not stopped within {patience:.0f} s; it ends after the step under way "
        f"(process {process['pid']})."
    )
