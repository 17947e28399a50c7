"""What a queue looks like at a moment: a row a job, with the epoch and Dice of trainings."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handbone_cli.runs.directory import RunDirectory
from handbone_cli.runs.overview import state_of
from handbone_cli.runs.queue.slots import unfinished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.runs.queue.database import Entry
    from handbone_cli.runs.queue.job import Places

ORDER = ("running", "waiting", "stopped", "failed", "blocked", "cancelled", "finished")
MOST_NAMED = 2
"""Jobs that a row names of those it waits for."""


@dataclass(frozen=True)
class JobState:
    """A job at a glance.

    Attributes:
        job: its name.
        state: waiting, running, stopped, finished, failed, blocked or cancelled.
        attempt: how often it was begun.
        gpus: those that it has.
        epoch: of a training, epochs that are done.
        epochs: of a training, all of them.
        dice: of a training, the best mean Dice so far.
        began: when the last attempt began, seconds since 1970.
        seconds: how long the last attempt has taken, or took.
        why: what it waits for, or why it failed.
        log: what it said.
        command: what it runs, in the queue's folder.
    """

    job: str
    state: str
    attempt: int
    gpus: tuple[str, ...]
    epoch: int | None
    epochs: int | None
    dice: float | None
    began: float | None
    seconds: float | None
    why: str
    log: str
    command: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table as the terminal has it."""
        return (
            self.job,
            self.state,
            str(self.attempt or "-"),
            ",".join(self.gpus) or "-",
            f"{self.epoch}/{self.epochs}" if self.epochs else "-",
            f"{self.dice:.4f}" if self.dice is not None and self.dice >= 0 else "-",
            "-" if self.seconds is None else clock(self.seconds),
            self.why,
        )


def describe(entries: Sequence[Entry], places: Places) -> list[JobState]:
    """A row for every job, in the order of the file."""
    by_name = {entry.job.name: entry for entry in entries}
    return [_describe(entry, by_name, places) for entry in entries]


def _describe(entry: Entry, by_name: dict[str, Entry], places: Places) -> JobState:
    job, run = entry.job, RunDirectory(places.folder / entry.job.product)
    trained = state_of(run) if job.verb == "train" and run.facts_file.exists() else None
    seconds = None if entry.began is None else (entry.ended or time.time()) - entry.began
    return JobState(
        job.name,
        "stopping" if entry.state == "running" and entry.cancel else entry.state,
        entry.attempt,
        entry.slots,
        trained.epoch if trained else None,
        trained.epochs if trained else None,
        trained.dice if trained else None,
        entry.began,
        None if seconds is None else max(0.0, seconds),
        _why(entry, by_name),
        str(places.job_log(job.name)),
        "hb " + " ".join(job.words),
    )


def _why(entry: Entry, by_name: dict[str, Entry]) -> str:
    """What a job waits for, or what was said of it."""
    if entry.state != "waiting":
        return entry.said
    after = unfinished(entry, by_name)
    if after:
        more = f" and {len(after) - MOST_NAMED} more" if len(after) > MOST_NAMED else ""
        return f"after {', '.join(after[:MOST_NAMED])}{more}"
    if entry.failures:
        return f"tries again: {entry.said}"
    return f"for {entry.job.gpus} GPU" if entry.job.gpus else "for a free slot"


def summary(states: Sequence[JobState]) -> str:
    """`2 running, 3 waiting, 1 finished`."""
    found = [each.state for each in states]
    known = [*ORDER, *(state for state in dict.fromkeys(found) if state not in ORDER)]
    return ", ".join(f"{found.count(state)} {state}" for state in known if state in found)


def clock(seconds: float) -> str:
    """`0:07`, `2:05:00`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
