"""One attempt at a job: its files, and the small process beside the job that writes them.

Every executor starts `python -m handbone_cli.runs.queue.attempt STEM LOG FOLDER -- COMMAND...`, and
that process starts the command, in a session of its own. The files begin with STEM:

- `.process`: who attends and who works, so that the next scheduler finds both.
- `.stop`: laid there by somebody who wants the job to stop; it is sent SIGINT, once.
- `.exit`: the exit code, whole or not at all. No file: the machine or the process died.

So a scheduler may die, and what its jobs came to is known all the same; and all executors have one
way to stop a job, which needs no more than the folder that they share.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError
from handbone_cli.files import make_folder, read_json, write_json, write_text
from handbone_cli.processes import describe_process, is_alive, since

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEADING = "=== attempt"
"""How a log says that another attempt begins."""
FASTEST, SLOWEST = 0.01, 0.5
"""Seconds between looks at a job: of short ones the end is seen soon, of long ones in time."""
SIGN, SILENCE = 30.0, 180.0
"""Seconds between signs of life, and without one until a job on another host is taken for dead."""
TAIL = 65536
"""Bytes at the end of a log that are looked at for what it said last."""
INTERRUPTED = 130
"""Exit code of what was stopped and has saved itself."""


@dataclass(frozen=True)
class Attempt:
    """The files of an attempt."""

    stem: Path

    @property
    def process_file(self) -> Path:
        """Who attends and who works."""
        return Path(f"{self.stem}.process")

    @property
    def stop_file(self) -> Path:
        """There if somebody wants it to stop."""
        return Path(f"{self.stem}.stop")

    @property
    def exit_file(self) -> Path:
        """The exit code."""
        return Path(f"{self.stem}.exit")

    def clear(self) -> None:
        """Forget an attempt of the same name, of a queue whose state was deleted."""
        make_folder(self.stem.parent)
        for file in (self.process_file, self.stop_file, self.exit_file):
            file.unlink(missing_ok=True)

    def ask_to_stop(self) -> None:
        """Let the job save itself and stop, as Ctrl-C does."""
        write_text(self.stop_file, "")

    def exit_code(self) -> int | None:
        """What the job ended with; None while it runs, or if it died."""
        try:
            return int(self.exit_file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def processes(self) -> dict[str, dict[str, Any]]:
        """Who attends and who works; {} before it began."""
        try:
            content: dict[str, dict[str, Any]] = read_json(self.process_file)
        except HandboneError:
            return {}
        return content

    def is_alive(self, now: Callable[[], float] = time.time) -> bool:
        """Whether the attendant or the job still is there; elsewhere, whether it gave a sign."""
        alive = [is_alive(process) for process in self.processes().values()]
        if None in alive:
            return now() - self.process_file.stat().st_mtime < SILENCE
        return any(alive)


def attend(attempt: Attempt, log: Path, folder: Path, command: Sequence[str]) -> int:
    """Run a command to its end, stop it when that is asked for, and write down its exit code."""
    make_folder(log.parent)
    asked: list[int] = []
    for name in (signal.SIGINT, signal.SIGTERM):  # as SLURM sends before a time limit
        signal.signal(name, lambda number, _frame: asked.append(number))
    with log.open("ab") as file:
        file.write(heading(attempt, command).encode())
        file.flush()
        if attempt.stop_file.exists():  # before it began
            write_text(attempt.exit_file, str(INTERRUPTED))
            return INTERRUPTED
        try:
            child = subprocess.Popen(  # noqa: S603  our own argv
                list(command),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        except OSError as error:
            file.write(f"hb: {error}\n".encode())
            write_text(attempt.exit_file, "1")
            return 1
    own = describe_process()
    write_json(
        attempt.process_file,
        {"attends": own, "works": {**own, "pid": child.pid, "since": since(child.pid)}},
    )
    code = _wait(child, attempt, asked)
    write_text(attempt.exit_file, str(code))
    return code


def heading(attempt: Attempt, command: Sequence[str]) -> str:
    """The line of a log above an attempt."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    number = attempt.stem.name.rpartition(".")[2]
    return f"{HEADING} {number}, {now} UTC, {socket.gethostname()}: {shlex.join(command)}\n"


def _wait(child: subprocess.Popen[bytes], attempt: Attempt, asked: Sequence[int]) -> int:
    """The exit code of a child; a death by signal N is -N. SIGINT once: twice would not save."""
    told, pause, signed = False, FASTEST, time.monotonic()
    while (code := child.poll()) is None:
        if not told and (asked or attempt.stop_file.exists()):
            told = True
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGINT)
        if time.monotonic() - signed > SIGN:
            attempt.process_file.touch()
            signed = time.monotonic()
        time.sleep(pause)
        pause = min(SLOWEST, pause * 1.2)
    return code


def said_last(log: Path) -> str:
    """The last line that the newest attempt in a log has said."""
    lines = [line.strip() for line in _newest(log) if line.strip()]
    return lines[-1] if lines else ""


def is_mistake(log: Path, code: int) -> bool:
    """Whether `hb` has refused the job in words: the same command would say the same again."""
    lines = _newest(log)
    said = any(line.startswith("hb: ") for line in lines)
    return code == 2 or (code == 1 and said and not any("Traceback" in line for line in lines))


def _newest(log: Path) -> list[str]:
    """The end of a log, after the heading of its newest attempt."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - TAIL))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return []
    starts = [place for place, line in enumerate(lines) if line.startswith(HEADING)]
    return lines[starts[-1] + 1 :] if starts else lines


if __name__ == "__main__":
    stem, log, folder, _, *command = sys.argv[1:]
    sys.exit(attend(Attempt(Path(stem)), Path(log), Path(folder), command))
