"""A job of a queue: one `hb` command line with what it needs, what it makes and where that lies."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Job:
    """One command; paths are relative to the queue's folder, where all commands run.

    Attributes:
        name: unique in the queue: the name of its table, and its part of a grid, if any.
        verb: train, predict, ensemble, submit or hb.
        words: the command line after `hb`.
        after: jobs that must be finished first.
        product: the run, store, decision or CSV that it makes; '' for a free command.
        gpus: how many it needs.
        retries: further attempts after a failure.
        priority: the highest goes first.
        recipe: what a training's recipe says beside defaults, to see whether it has changed.
    """

    name: str
    verb: str
    words: tuple[str, ...]
    after: tuple[str, ...] = ()
    product: str = ""
    gpus: int = 0
    retries: int = 0
    priority: int = 0
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def command(self) -> dict[str, Any]:
        """What must stay as it is once the job has run."""
        return {"command": " ".join(self.words), "recipe": self.recipe}

    @property
    def resuming(self) -> tuple[str, ...]:
        """The command line that goes on with a training; `hb` sees that the recipe is the same."""
        return tuple("--resume" if word == "-o" else word for word in self.words)

    def to_text(self) -> str:
        """The job as JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_text(cls, text: str) -> Job:
        """The job of `to_text`."""
        table = json.loads(text)
        return cls(**{**table, "words": tuple(table["words"]), "after": tuple(table["after"])})


@dataclass(frozen=True)
class Places:
    """Where a queue keeps its things.

    Attributes:
        folder: the queue file's folder; commands run there.
        output: the folder for everything, relative to it.
    """

    folder: Path
    output: Path

    @property
    def root(self) -> Path:
        """The output folder as this process names it."""
        return self.folder / self.output

    @property
    def database(self) -> Path:
        """The state of all jobs."""
        return self.root / "queue.sqlite"

    @property
    def log(self) -> Path:
        """What the scheduler says in the background."""
        return self.root / "log.txt"

    def job_log(self, name: str) -> Path:
        """What a job says, all its attempts one after another."""
        return self.root / "logs" / f"{name}.log"

    def attempt(self, name: str, number: int) -> Path:
        """The beginning of the names of an attempt's files: .process, .stop, .exit."""
        return self.root / "attempts" / f"{name}.{number}"

    def product(self, verb: str, name: str) -> str:
        """What a job makes, as its command names it."""
        below = {
            "train": f"runs/{name}",
            "predict": f"stores/{name}",
            "ensemble": f"decisions/{name}.toml",
            "submit": f"submissions/{name}.csv",
        }
        return str(self.output / below[verb]) if verb in below else ""
