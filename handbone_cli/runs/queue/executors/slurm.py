"""Jobs under SLURM: its own sbatch, squeue and scancel get command lines, nothing is pickled.

submitit is not used: it pickles the function that a job calls (submitit.core.DelayedSubmission),
and its writer of sbatch scripts is private.
"""

from __future__ import annotations

import getpass
import shlex
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.runs.queue.executors import Launch, Stage

PENDING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "SUSPENDED")
PATIENCE = 60.0
"""Seconds for one of SLURM's programs."""
FRESH = 10.0
"""Seconds for which what squeue said is believed; SLURM's guide asks not to call it in a loop."""
WARNING = 90
"""Seconds before a time limit at which a training is asked to save itself."""


class SlurmExecutor:
    """Submits with sbatch; the handle is the job's number."""

    grace = 60.0
    has_time_limit = True

    def __init__(self, options: Sequence[str] = (), fresh: float = FRESH) -> None:
        self._options, self._fresh = tuple(options), fresh
        self._stages: dict[str, Stage] = {}
        self._asked = float("-inf")

    @classmethod
    def find_slurm(cls, options: Sequence[str]) -> SlurmExecutor:
        """One sentence if this machine has no SLURM."""
        missing = [name for name in ("sbatch", "squeue", "scancel") if not shutil.which(name)]
        if missing:
            raise HandboneError(
                f'executor = "slurm": there is no {missing[0]} here; run `hb schedule` on a login '
                'node of the cluster, or say executor = "local".'
            )
        return cls(options)

    def start(self, launch: Launch) -> str:
        """Submit it; SLURM asks the attendant to stop it before its time is over."""
        gpus = [f"--gres=gpu:{launch.gpus}"] if launch.gpus else []
        said = _run(
            "sbatch",
            "--parsable",
            "--no-requeue",  # the queue does that, with --resume
            f"--job-name={launch.name}",
            f"--chdir={launch.folder.resolve()}",
            f"--output={launch.log.resolve()}",
            "--open-mode=append",
            f"--signal=B:INT@{WARNING}",
            *gpus,
            *self._options,
            "--wrap",
            f"exec {shlex.join(launch.argv)}",  # so that the signal reaches the attendant
        )
        number = said.strip().partition(";")[0]
        if not number.isdigit():
            raise HandboneError(f"sbatch gave no job number: {said.strip()!r}.")
        self._stages[number] = "pending"
        return number

    def find(self, launch: Launch) -> str | None:
        """By the job's name."""
        said = _run(
            "squeue", "--noheader", "--format=%i", f"--name={launch.name}", f"--user={_user()}"
        )
        return next(iter(said.split()), None)

    def poll(self, handle: str) -> Stage:
        """What squeue says of it; a job that it does not know any more is over."""
        if time.monotonic() - self._asked >= self._fresh:
            said = _run("squeue", "--noheader", "--format=%i %T", f"--user={_user()}")
            rows = [line.split(maxsplit=1) for line in said.splitlines() if line.strip()]
            self._stages = {row[0]: _stage(row[1]) for row in rows if len(row) == 2}
            self._asked = time.monotonic()
        return self._stages.get(handle, "over")

    def release(self, handle: str) -> None:
        """Cancel it only if it is pending still: one that has just begun sees its stop file."""
        if self._stages.get(handle) == "pending":
            _run("scancel", "--state=PENDING", handle)


def _stage(word: str) -> Stage:
    return "pending" if word.strip() in PENDING else "running"


def _user() -> str:
    return getpass.getuser()


def _run(*argv: str) -> str:
    """What one of SLURM's programs says; one sentence if it fails."""
    try:
        done = subprocess.run(  # noqa: S603  our own argv
            argv, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HandboneError(f"{argv[0]}: {error}.") from error
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).replace("\n", " ")
        raise HandboneError(f"{argv[0]} failed with exit code {done.returncode}: {said}.")
    return done.stdout
