"""Who goes next: GPUs and places that are free, and the jobs that fit, by priority."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from handbone_cli.runs.queue.database import Entry

DEAD_ENDS = ("failed", "blocked", "cancelled")


@dataclass(frozen=True)
class Slots:
    """What a queue may use at once.

    Attributes:
        gpus: names of the GPUs.
        places: jobs that need none.
    """

    gpus: tuple[str, ...]
    places: int


def obstacles(entry: Entry, by_name: dict[str, Entry]) -> list[Entry]:
    """The jobs that a job waits for and that will not come: failed, blocked or cancelled."""
    return [by_name[name] for name in entry.job.after if by_name[name].state in DEAD_ENDS]


def unfinished(entry: Entry, by_name: dict[str, Entry]) -> list[str]:
    """The jobs that a job waits for."""
    return [name for name in entry.job.after if by_name[name].state != "finished"]


def ready(entries: Sequence[Entry]) -> list[Entry]:
    """The waiting jobs whose predecessors are finished: by priority, then as in the file."""
    by_name = {entry.job.name: entry for entry in entries}
    found = [
        entry for entry in entries if entry.state == "waiting" and not unfinished(entry, by_name)
    ]
    return sorted(found, key=lambda entry: -entry.job.priority)


def assign(
    entries: Sequence[Entry], candidates: Sequence[Entry], slots: Slots
) -> Iterator[tuple[Entry, tuple[str, ...]]]:
    """The candidates, in their order, that there is room for, with their GPUs.

    A job that needs more GPUs than are free keeps those behind it from taking them: else one that
    needs two would wait for ever while others need one.
    """
    running = [entry for entry in entries if entry.state == "running"]
    taken = [slot for entry in running for slot in entry.slots]
    free = [gpu for gpu in slots.gpus if gpu not in taken]
    places = slots.places - sum(not entry.job.gpus for entry in running)
    held = False
    for entry in candidates:
        needs = entry.job.gpus
        if needs:
            held = held or needs > len(free)
            if not held:
                yield entry, tuple(free[:needs])
                free = free[needs:]
        elif places > 0:
            places -= 1
            yield entry, ()
