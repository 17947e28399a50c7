"""The scheduler of a queue: sees how jobs ended, tries again, blocks, and starts what can go.

All it knows stands in the database after every step, so that it may die at any time.
"""

from __future__ import annotations

import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError, InterruptedRunError
from handbone_cli.files import explain, make_folder
from handbone_cli.runs.directory import RunDirectory
from handbone_cli.runs.queue.attempt import INTERRUPTED, Attempt, is_mistake, said_last
from handbone_cli.runs.queue.executors import Launch
from handbone_cli.runs.queue.slots import assign, obstacles, ready

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from handbone_cli.runs.queue.database import Database, Entry
    from handbone_cli.runs.queue.executors import Executor
    from handbone_cli.runs.queue.job import Job, Places
    from handbone_cli.runs.queue.slots import Slots

POLL = 0.25
"""Seconds between looks at the jobs."""
SIGN_EVERY = 10.0
REST = 5.0
"""Seconds before a failed job is tried again, times its failures."""
WORTH = 60.0
"""Seconds that an attempt must have lasted for its time limit to be no failure."""
PROGRAM = (sys.executable, "-m", "handbone_cli")
ATTENDANT = (sys.executable, "-m", "handbone_cli.runs.queue.attempt")


@dataclass
class Scheduler:
    """Runs the jobs of a database.

    Attributes:
        name: of the queue.
        database: its state.
        places: where its things lie.
        slots: what it may use at once.
        executor: who starts new jobs, by name.
        executors: opens an executor by name; jobs of an earlier scheduler may have another one.
        observe: called with all entries after every look.
        note: called with a sentence that a person should read.
        program: what the words of a job follow.
        rest: seconds before another attempt, times the failures.
    """

    name: str
    database: Database
    places: Places
    slots: Slots
    executor: str
    executors: Callable[[str], Executor]
    observe: Callable[[Sequence[Entry]], None] = lambda _: None
    note: Callable[[str], None] = lambda _: None
    program: tuple[str, ...] = PROGRAM
    rest: float = REST
    _open: dict[str, Executor] = field(default_factory=dict)
    _signals: int = 0
    _over_since: dict[str, float] = field(default_factory=dict)
    _last_note: str = ""

    def run(self, process: dict[str, Any]) -> list[Entry]:
        """Run until nothing can go on; gives all jobs.

        Args:
            process: of this scheduler, which owns the database.

        Raises:
            InterruptedRunError: Ctrl-C; running jobs were asked to stop, and have.
            HandboneError: another scheduler has taken the queue.
        """
        with self._interruptible():
            self._adopt()
            signed = time.monotonic()
            while self._step():
                if time.monotonic() - signed > SIGN_EVERY:
                    self.database.give_sign(process)
                    signed = time.monotonic()
                time.sleep(POLL)
        entries = self.database.entries()
        self.observe(entries)
        if self._signals:
            raise InterruptedRunError(
                f"hb: {self.name}: interrupted; the jobs have saved themselves, and the same "
                "command goes on."
            )
        return entries

    def stop_cancelled(self, patience: float) -> None:
        """Stop what was cancelled, without starting anything; waits for it, in seconds."""
        until = time.monotonic() + patience
        self._adopt()
        while time.monotonic() < until:
            asked = [entry for entry in self._in_state("running") if entry.cancel]
            if not asked:
                return
            for entry in asked:
                self._look_at(entry)
            time.sleep(POLL)

    def _step(self) -> bool:
        """Look at all jobs once; whether there is something to wait for."""
        for entry in self._in_state("running"):
            self._look_at(entry)
        self._block()
        if not self._signals:
            self._start_what_can()
        entries = self.database.entries()
        self.observe(entries)
        states = {entry.state for entry in entries}
        return "running" in states or (not self._signals and bool(ready(entries)))

    def _in_state(self, state: str) -> list[Entry]:
        return [entry for entry in self.database.entries() if entry.state == state]

    # ---- how jobs end

    def _look_at(self, entry: Entry) -> None:
        """Stop a running job that is to stop; settle it if it is over."""
        attempt = self._attempt(entry)
        if (self._signals or entry.cancel) and not attempt.stop_file.exists():
            attempt.ask_to_stop()
        code = attempt.exit_code()
        if code is not None:
            self._settle(entry, code)
            return
        stage = self._stage(entry)
        if stage == "pending" and attempt.stop_file.exists():
            self._executor(entry.executor).release(entry.handle)
        if stage != "over":
            self._over_since.pop(entry.job.name, None)
            return
        since = self._over_since.setdefault(entry.job.name, time.monotonic())
        if time.monotonic() - since >= self._executor(entry.executor).grace:
            self._settle(entry, attempt.exit_code())  # it may have come since

    def _stage(self, entry: Entry) -> str:
        """Where a job is; where it was if the executor does not answer now."""
        try:
            return self._executor(entry.executor).poll(entry.handle)
        except HandboneError as error:
            self._note(str(error))
            return "running"

    def _settle(self, entry: Entry, code: int | None) -> None:
        """What an attempt's exit code means for its job; None: it died without one."""
        self._over_since.pop(entry.job.name, None)
        self._executor(entry.executor).release(entry.handle)
        log = self.places.job_log(entry.job.name)
        was_asked = self._attempt(entry).stop_file.exists()
        lasted = time.time() - (entry.began or 0.0)
        if code == 0:
            self._end(entry, "finished")
        elif entry.cancel:
            self._end(entry, "cancelled")
        elif was_asked:
            self._end(entry, "stopped")
        elif code == INTERRUPTED:
            limited = self._executor(entry.executor).has_time_limit and lasted > WORTH
            self._end(entry, "waiting" if limited else "stopped", "was stopped from outside")
        else:
            self._fail(entry, log_line(code, said_last(log)), final=is_mistake(log, code or 0))

    def _fail(self, entry: Entry, said: str, *, final: bool) -> None:
        """Try again while there are retries; never what `hb` refused in words."""
        failures = entry.failures + 1
        state = "failed" if final or failures > entry.job.retries else "waiting"
        self._end(entry, state, said, failures)

    def _end(self, entry: Entry, state: str, said: str = "", failures: int | None = None) -> None:
        self.database.change(
            entry.job.name,
            state=state,
            said=said,
            failures=entry.failures if failures is None else failures,
            slots=(),
            ended=time.time(),
        )

    def _block(self) -> None:
        """Name the jobs that keep others from ever running, to the end of every chain."""
        changed = True
        while changed:
            changed = False
            by_name = {entry.job.name: entry for entry in self.database.entries()}
            for entry in by_name.values():
                dead = obstacles(entry, by_name) if entry.state == "waiting" else []
                if dead:
                    said = ", ".join(f"{each.job.name} {each.state}" for each in dead)
                    name = entry.job.name
                    changed |= self.database.change(name, "waiting", state="blocked", said=said)

    # ---- how jobs begin

    def _adopt(self) -> None:
        """Take over what an earlier scheduler left: what still runs, what ended, what died."""
        for entry in self._in_state("running"):
            attempt = self._attempt(entry)
            handle = entry.handle or self._executor(entry.executor).find(self._launch(entry))
            if handle and handle != entry.handle:
                self.database.change(entry.job.name, handle=handle)
            known = attempt.exit_code() is not None
            if not known and (not handle or self._stage(replace(entry, handle=handle)) == "over"):
                # The machine went down: no fault of the job.
                state = "cancelled" if entry.cancel else "waiting"
                self._end(entry, state, "" if entry.cancel else "died with the scheduler")
            elif not known:
                self._note(f"{entry.job.name}: runs already, goes on")

    def _start_what_can(self) -> None:
        entries = self.database.entries()
        now = time.time()
        rested = [
            entry
            for entry in ready(entries)
            if not entry.failures or now - (entry.ended or 0) >= self.rest * entry.failures
        ]
        for entry, gpus in assign(entries, rested, self.slots):
            self._start(entry, gpus)

    def _start(self, entry: Entry, gpus: tuple[str, ...]) -> None:
        """Write down that it begins, start it, write down its handle."""
        name = entry.job.name
        claimed = self.database.change(
            name, "waiting", state="running", attempt=entry.attempt + 1, executor=self.executor,
            handle="", slots=gpus, began=time.time(), ended=None, said="",
        )  # fmt: skip
        if not claimed:  # it was cancelled in this moment
            return
        begun = next(each for each in self.database.entries() if each.job.name == name)
        log = self.places.job_log(name)
        make_folder(log.parent)
        try:
            self._attempt(begun).clear()
            handle = self._executor(self.executor).start(self._launch(begun))
        except OSError as error:
            self._fail(begun, str(explain(error, log, "start the job")), final=False)
            return
        except HandboneError as error:
            self._fail(begun, str(error), final=False)
            return
        self.database.change(name, handle=handle)

    def _launch(self, entry: Entry) -> Launch:
        attempt, log = self._attempt(entry), self.places.job_log(entry.job.name)
        files = (str(attempt.stem.resolve()), str(log.resolve()), str(self.places.folder.resolve()))
        command = (*self.program, *self._words(entry.job))
        return Launch(
            name=f"hb-{self.name}-{entry.job.name}.{entry.attempt}",
            argv=(*ATTENDANT, *files, "--", *command),
            log=log,
            folder=self.places.folder,
            gpus=entry.job.gpus,
            slots=entry.slots,
            attempt=attempt,
        )

    def _words(self, job: Job) -> tuple[str, ...]:
        """A training that has a state goes on from it."""
        if job.verb != "train":
            return job.words
        run = RunDirectory(self.places.folder / job.product)
        return job.resuming if run.last.exists() or run.best.exists() else job.words

    # ---- the rest

    def _attempt(self, entry: Entry) -> Attempt:
        return Attempt(self.places.attempt(entry.job.name, entry.attempt))

    def _executor(self, name: str) -> Executor:
        if name not in self._open:
            self._open[name] = self.executors(name)
        return self._open[name]

    def _note(self, sentence: str) -> None:
        if sentence != self._last_note:
            self.note(sentence)
        self._last_note = sentence

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Ctrl-C once: let the jobs stop. Twice: leave them running for the next scheduler."""

        def ask(_number: int, _frame: object) -> None:
            self._signals += 1
            if self._signals > 1:
                raise InterruptedRunError(
                    f"hb: {self.name}: interrupted; jobs may still be running, and the same "
                    "command goes on with them."
                )
            self.note("the jobs are asked to save themselves and stop; Ctrl-C again leaves them")

        before = {each: signal.signal(each, ask) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def log_line(code: int | None, last: str) -> str:
    """Why a job failed: how it ended, and what it said last."""
    if code is None:
        how = "died without an exit code"
    elif code < 0:
        how = f"was killed by {signal.Signals(-code).name}"
    else:
        how = f"exit code {code}"
    return f"{how}: {last}" if last else how
