"""Who runs the jobs of a queue: this machine, a Ray cluster or SLURM; all get an argv."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handbone_cli.runs.queue.attempt import Attempt

Stage = Literal["pending", "running", "over"]


@dataclass(frozen=True)
class Launch:
    """What an executor is to start.

    Attributes:
        name: what a cluster calls it; unique for queue, job and attempt.
        argv: the whole command line, which writes its own log and exit code.
        log: for what goes wrong before the command line has begun.
        folder: where it runs.
        gpus: how many it needs.
        slots: the GPUs that it gets on this machine; a cluster gives its own.
        attempt: its files.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    folder: Path
    gpus: int
    slots: tuple[str, ...]
    attempt: Attempt


class Executor(Protocol):
    """Starts command lines and knows which are there; exit codes are read from their files.

    Attributes:
        grace: seconds for which an exit code may come later than the end, over a network.
        has_time_limit: a job that was interrupted without being asked is to go on by itself.
    """

    grace: float
    has_time_limit: bool

    def start(self, launch: Launch) -> str:
        """Start it so that it outlives this process; gives a handle for the other methods."""

    def find(self, launch: Launch) -> str | None:
        """The handle of one that a scheduler started and died before it wrote the handle down."""

    def poll(self, handle: str) -> Stage:
        """Whether it waits in the cluster, runs, or is over."""

    def release(self, handle: str) -> None:
        """Withdraw it if it is pending, forget it if it is over; what runs has a stop file."""


def open_executor(name: str, sbatch: Sequence[str] = ()) -> Executor:
    """The executor of a name; one sentence if what it needs is not installed."""
    if name == "ray":
        from handbone_cli.runs.queue.executors.ray import RayExecutor

        return RayExecutor.connect()
    if name == "slurm":
        from handbone_cli.runs.queue.executors.slurm import SlurmExecutor

        return SlurmExecutor.find_slurm(sbatch)
    from handbone_cli.runs.queue.executors.local import LocalExecutor

    return LocalExecutor()
