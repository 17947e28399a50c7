"""The schema of a QUEUE.toml: keys of the queue and of its five kinds of job; unknown ones refused.

A job is a table `[[job]]` with a name and one verb, which is the `hb` command that it stands for.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  pydantic reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from handbone_cli.errors import HandboneError
from handbone_cli.recipe.explain import explain_errors
from handbone_cli.recipe.load import parse_toml
from handbone_cli.recipe.schema import Section

if TYPE_CHECKING:
    from collections.abc import Sequence

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]
Count = Annotated[int, Field(ge=0)]
Names = Annotated[tuple[str, ...], Field(min_length=1)]


class JobSection(Section):
    """What all jobs have; the queue's own retries and priority hold where a job has none."""

    verb: ClassVar[str] = ""

    name: Name
    after: tuple[str, ...] = Field((), description="jobs that must be finished first")
    options: tuple[str, ...] = Field((), description="further words of the command line")
    priority: int | None = Field(None, description="the highest goes first of those that can")
    retries: Count | None = Field(None, description="further attempts after a failure")
    gpus: Count | None = Field(None, description="GPUs it needs; 1 for train and predict, else 0")

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """The jobs that it names, by key."""
        return {"after": self.after}


class TrainSection(JobSection):
    """`hb train`: one run, or a run for every combination of a grid and folds."""

    verb: ClassVar[str] = "train"

    train: str = Field(
        description="recipe: a file relative to the queue's folder, or a shipped one"
    )
    set: dict[str, Any] = Field({}, description="keys of the recipe to override")
    grid: dict[str, Any] = Field({}, description="keys of the recipe with a list of values each")
    fold: Any = Field(None, description="a fold, a list of folds, or all")

    @field_validator("fold")
    @classmethod
    def _is_folds(cls, fold: Any) -> Any:
        folds = fold if isinstance(fold, list) else [fold]
        numbers = all(type(each) is int and each >= 0 for each in folds) and folds != []
        if fold is not None and fold != "all" and not numbers:
            raise ValueError('expected a fold, a list of folds, or "all"')
        if len(set(map(str, folds))) < len(folds):
            raise ValueError("a fold is named twice")
        return fold


class PredictSection(JobSection):
    """`hb predict`: a store for each of the runs."""

    verb: ClassVar[str] = "predict"

    predict: str = Field(min_length=1, description="what -i takes: val, test, train, a folder, ...")
    runs: Names = Field(description="jobs that train")

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """The jobs that it names, by key."""
        return {"runs": self.runs, "after": self.after}


class EnsembleSection(JobSection):
    """`hb ensemble optimize`: a decision, of val stores one for each fold."""

    verb: ClassVar[str] = "ensemble"

    ensemble: Names = Field(description="jobs that predict")

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """The jobs that it names, by key."""
        return {"ensemble": self.ensemble, "after": self.after}


class SubmitSection(JobSection):
    """`hb submit`: a CSV for each store or decision."""

    verb: ClassVar[str] = "submit"

    submit: str = Field(min_length=1, description="a job that predicts, or one that weighs")
    on: tuple[str, ...] = Field((), description="for a decision: jobs that predict its members")

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """The jobs that it names, by key."""
        return {"submit": (self.submit,), "on": self.on, "after": self.after}


class CommandSection(JobSection):
    """Any `hb` command; `{JOB}` stands for what a job makes, `{output}` for the output folder."""

    verb: ClassVar[str] = "hb"

    hb: Names = Field(description="the words after `hb`")
    each: str | None = Field(
        None, description="once for each part of this job, which {JOB} then is"
    )

    @property
    def uses(self) -> dict[str, tuple[str, ...]]:
        """The jobs that it names, by key."""
        braces = (word[1:-1] for word in self.hb if word[:1] == "{" and word[-1:] == "}")
        each = (self.each,) if self.each else ()
        return {
            "each": each,
            "hb": tuple(name for name in braces if name not in FILLED),
            "after": self.after,
        }


FILLED = ("output", "part")
"""Braces that stand for no job: the output folder, and with `each` the part that it is done for."""
SECTIONS: dict[str, type[JobSection]] = {
    kind.verb: kind
    for kind in (TrainSection, PredictSection, EnsembleSection, SubmitSection, CommandSection)
}


class Queue(Section):
    """The keys of a queue; its jobs are checked apart, each by its verb."""

    name: Name
    output: Path | None = Field(None, description="folder for everything; none: the queue's name")
    executor: Literal["local", "ray", "slurm"] = "local"
    gpus: Count | None = Field(None, description="GPUs in use at once; none: all that are here")
    slots: int = Field(1, ge=1, description="jobs without a GPU at once")
    retries: Count = 1
    priority: int = 0
    sbatch: tuple[str, ...] = Field((), description="slurm: options of sbatch, as --partition=gpu")
    job: tuple[dict[str, Any], ...] = Field(min_length=1, description="the jobs")

    @model_validator(mode="after")
    def _fits_executor(self) -> Queue:
        if self.executor != "local" and self.gpus is None:
            raise ValueError(
                f'executor = "{self.executor}" needs gpus, the most that may be in use at once; 0 '
                "for none"
            )
        if self.sbatch and self.executor != "slurm":
            raise ValueError('sbatch is for executor = "slurm"')
        return self


def refuse(problems: Sequence[str]) -> None:
    """All mistakes of a queue at once, one line each, if there are any."""
    lines = list(dict.fromkeys(problems))
    if lines:
        count = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise HandboneError(f"{count} in the queue:\n" + "\n".join(f"  {line}" for line in lines))


def read_queue(path: Path) -> tuple[Queue, list[JobSection]]:
    """A queue and its jobs in the order of the file.

    Raises:
        HandboneError: no such file, not TOML, or all mistakes of keys and values at once.
    """
    table = parse_toml(path)
    problems: list[str] = []
    queue: Queue | None = None
    try:
        queue = Queue.model_validate(table)
    except ValidationError as error:
        problems += explain_errors(error, table, {}, str(path), set(Queue.model_fields))
    jobs = table.get("job")
    tables = [each for each in jobs if isinstance(each, dict)] if isinstance(jobs, list) else []
    sections = [_read_job(path, each, place, problems) for place, each in enumerate(tables, 1)]
    refuse(problems)
    assert queue is not None
    return queue, [section for section in sections if section is not None]


def _read_job(
    path: Path, table: dict[str, Any], place: int, problems: list[str]
) -> JobSection | None:
    """The section of a job by its verb; what is wrong with it is added to the problems."""
    name = table.get("name")
    where = f"{path}: job {f'{name!r}' if isinstance(name, str) else place}"
    verbs = [verb for verb in SECTIONS if verb in table]
    if len(verbs) != 1:
        found = " and ".join(verbs) or f"only {', '.join(table) or 'nothing'}"
        known = f"{', '.join(list(SECTIONS)[:-1])} or {list(SECTIONS)[-1]}"
        problems.append(f"{where}: expected just one of {known}, and it has {found}.")
        return None
    kind = SECTIONS[verbs[0]]
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        problems += explain_errors(error, table, {}, where, set(kind.model_fields))
        return None
