"""The process of a run: how it is started in the background, and stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import IO, TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError
from handbone_cli.processes import is_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

POLL = 0.1
"""Seconds between looks at a process that was asked to stop."""


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
