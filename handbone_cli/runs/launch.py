"""One command in several processes of this machine: started, watched, ended together, explained."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, cast

from handbone_cli.errors import HandboneError
from handbone_cli.processes import asked_to_stop
from handbone_cli.ranks import INTERRUPTED, LAUNCHED, LOST, is_launched, rank_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import TextIO

POLL = 0.1
GRACE = 30.0
"""Seconds for the others to notice that one is gone and to save the run; then they are ended."""
PATIENCE = 3600.0
"""The same for those who were asked to end what they are at, which may be a large image."""
END = b"\0"
"""After what a process is given to read: its stdin stays open, and no path has this."""
SENTENCE = "hb: "
"""How a line begins that explains why a process ends."""


class Companion:
    """One process of a run: what it says goes on, the sentence it ends with is kept."""

    def __init__(
        self,
        number: int,
        words: Sequence[str],
        environment: dict[str, str],
        given: bytes | None = None,
    ) -> None:
        """Start `hb WORDS` as process `number`; the first one speaks for itself.

        `given` is for `given_input`.
        """
        self.number = number
        self.sentence = ""
        self._process = subprocess.Popen(  # noqa: S603  our own argv
            [sys.executable, "-m", "handbone_cli", *words],
            stdin=subprocess.PIPE,  # closed when we die, see follow_parent
            stdout=subprocess.DEVNULL if number else None,
            stderr=subprocess.PIPE if number else None,
            start_new_session=True,  # Ctrl-C reaches it through us, once
            env=environment,
            text=True,
        )
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()
        if given is not None:
            threading.Thread(target=self._give, args=(given,), daemon=True).start()

    @property
    def code(self) -> int | None:
        """Its exit code, negative for a signal; None while it runs.

        Killed by Ctrl-C, before it could listen or after it was done, it was interrupted.
        """
        code = self._process.poll()
        return INTERRUPTED if code == -signal.SIGINT else code

    def send(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def why(self) -> str:
        """Why it ended, in words."""
        self._ear.join(timeout=1.0)
        code, who = self.code or 0, f"the process of device {self.number}"
        if code < 0:
            name = signal.Signals(-code).name
            memory = ", most often for want of RAM" if name == "SIGKILL" else ""
            return f"{who} was killed by {name}{memory}"
        if self.sentence:
            return f"{who} ended: {self.sentence.rstrip('.')}"
        return f"{who} ended with exit code {code}"

    def close(self) -> None:
        """Close its pipes, once it has ended; a child of its own may still hold the last one."""
        self._ear.join(timeout=1.0)
        listening = self._ear.is_alive()
        for pipe in (self._process.stdin, None if listening else self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what it did not read
                    pipe.close()

    def _give(self, given: bytes) -> None:
        with contextlib.suppress(OSError):  # it has ended before it read all
            stdin = cast("TextIO", self._process.stdin).buffer
            stdin.write(given + END)
            stdin.flush()

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            if line.startswith(SENTENCE):
                self.sentence = line[len(SENTENCE) :].strip()
            elif line.strip():
                sys.stderr.write(f"device {self.number}: {line}")


def launch_training(devices: int, words: Sequence[str], last: Path) -> int:
    """Train by `hb WORDS` as `launch` does; `last` is where the run's resumable state is."""

    def lost(why: str) -> str:
        way = f"hb train --resume {last.parent} --devices {devices}"
        rest = f"go on with `{way}`" if last.exists() else "nothing was saved yet, start again"
        return f"{last.parent}: {why}; {rest}."

    return launch(devices, words, lost)


def launch(
    devices: int,
    words: Sequence[str],
    lost: Callable[[str], str],
    *,
    apart: bool = False,
    given: bytes | None = None,
) -> int:
    """Run `hb WORDS` in so many processes and wait for all; gives their exit code.

    It is that of an interruption wherever they were asked to stop, however far they had come.

    Args:
        devices: processes; each takes a GPU where there are any.
        words: the command line after `hb`, the same for all.
        lost: why a process ended -> the sentence on that.
        apart: each works by itself, so that they are asked to stop when one of them is gone; else
            they notice at their next step.
        given: what stands on their stdin, if they read it.

    Raises:
        HandboneError: another than the first, which speaks for itself, ended before its time; all
            have been ended.
    """
    port = free_port()
    companions: list[Companion] = []
    with _signals_to(companions) as asked:
        for number in range(devices):
            environment = environment_of(number, devices, port)
            companions.append(Companion(number, words, environment, given))
        culprit = wait_for(companions, PATIENCE if apart else GRACE, apart=apart)
    for each in companions:
        each.close()
    first = companions[0].code or 0
    if first > 0 and first not in {INTERRUPTED, LOST}:  # it has said why
        return first
    if culprit is not None:
        raise HandboneError(lost(culprit.why()))
    return INTERRUPTED if asked or any(each.code == INTERRUPTED for each in companions) else 0


def wait_for(
    companions: Sequence[Companion], grace: float = GRACE, *, apart: bool = False
) -> Companion | None:
    """Wait until all have ended; gives the one whose end was the cause of the others', if any."""
    culprit: Companion | None = None
    patience = 0.0
    while any(each.code is None for each in companions):
        ended = [each for each in companions if each.code not in {None, 0, INTERRUPTED, LOST}]
        if culprit is None and ended:
            culprit = ended[0]
            for each in companions if apart else ():
                each.send(signal.SIGINT)
        if culprit is not None or any(each.code == LOST for each in companions):
            patience += POLL
            if patience > grace:
                number = signal.SIGKILL if patience > 2 * grace else signal.SIGTERM
                for each in companions:
                    each.send(number)
        time.sleep(POLL)
    failed = [each for each in companions if each.code not in {0, INTERRUPTED}]
    first = next((each for each in failed if each.code != LOST), None)
    return culprit or first or (failed[0] if failed else None)


def environment_of(number: int, devices: int, port: int) -> dict[str, str]:
    """What torchrun would tell process `number`, and how many threads are its share."""
    cores = str(max(1, (os.cpu_count() or 1) // devices))
    ours = {
        "RANK": str(number), "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(devices), "LOCAL_WORLD_SIZE": str(devices),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), LAUNCHED: "1",
    }  # fmt: skip
    # Of a process that is gone torch's own warnings are a page; ours is a sentence.
    usual = {"OMP_NUM_THREADS": cores, "TORCH_CPP_LOG_LEVEL": "ERROR"}
    return {**usual, **os.environ, **ours}


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def given_input() -> bytes:
    """What stands on stdin, whether or not this process was launched.

    Raises:
        HandboneError: under torchrun, whose processes would each get a part of it.
    """
    if rank_count() == 1:
        return sys.stdin.buffer.read()
    if not is_launched():
        raise HandboneError(
            "a list on stdin goes to one process; use --devices in place of torchrun."
        )
    given = b""
    while not given.endswith(END) and (more := os.read(0, 2**16)):
        given += more
    return given.removesuffix(END)


def follow_parent() -> None:
    """Stop, as by Ctrl-C, when the process that launched this one is gone."""
    if not is_launched():
        return

    def wait() -> None:
        with contextlib.suppress(OSError):
            os.read(0, 1)  # sys.stdin would be locked when Python ends
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, daemon=True).start()


def stop_listening() -> None:
    """A process that is done has nothing left to interrupt but Python's own tidying up."""
    if is_launched() and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _signals_to(companions: Sequence[Companion]) -> Iterator[list[int]]:
    """Pass on what asks us to stop, a second time for good; gives the signals that came."""
    asked: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        asked.append(number)
        for each in companions:
            each.send(signal.SIGINT)

    with asked_to_stop(pass_on):
        yield asked
