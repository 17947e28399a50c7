"""From a checked queue to its jobs: grids and folds expanded, names resolved, recipes checked."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError, RecipeError, closest
from handbone_cli.recipe.load import load_recipe
from handbone_cli.runs.queue.job import Job, Places
from handbone_cli.runs.queue.order import in_order, table_of
from handbone_cli.runs.queue.schema import (
    FILLED,
    CommandSection,
    EnsembleSection,
    JobSection,
    PredictSection,
    Queue,
    SubmitSection,
    TrainSection,
    read_queue,
    refuse,
)
from handbone_cli.runs.queue.values import combinations, flatten, override, part_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe

LONGEST = 180
"""Characters of a job's name; a file system takes 255 with our endings."""
OURS = (
    *("-o", "--output", "--resume", "--bg", "--devices", "--fold", "--set"),
    *("-i", "--input", "--on"),
)
"""Options that come from a job's keys."""
WHAT = {
    "train": "one that trains",
    "predict": "one that predicts",
    "ensemble": "one that weighs",
    "submit": "one that submits",
    "hb": "a free command",
}


@dataclass(frozen=True)
class Planned:
    """A job with what later jobs ask of it.

    Attributes:
        job: the command.
        part: what its name says beyond its table's; '' if the table makes one job.
        recipe: of the training at its root.
        members: the runs that a store (one) or a decision (its order) comes from.
        fold: the group of people that the training at its root leaves out.
    """

    job: Job
    part: str = ""
    recipe: Recipe | None = None
    members: tuple[str, ...] = ()
    fold: int | None = None


@dataclass
class Plan:
    """All jobs of a queue in the order of the file."""

    queue: Queue
    places: Places
    made: dict[str, list[Planned]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def planned(self) -> list[Planned]:
        """Every job."""
        return [each for group in self.made.values() for each in group]

    @property
    def jobs(self) -> list[Job]:
        """Every command."""
        return [each.job for each in self.planned]


def places_of(path: Path, queue: Queue) -> Places:
    """Where the queue of a file keeps its things."""
    return Places(path.parent, queue.output or Path(queue.name))


def make_plan(path: Path, registry: Registry, gpus: int) -> Plan:
    """Read a queue and expand it.

    Args:
        path: QUEUE.toml.
        registry: where recipes are checked.
        gpus: how many there are for it.

    Raises:
        HandboneError: all mistakes at once: keys, names, circles, then recipes and overrides.
    """
    queue, sections = read_queue(path)
    by_name = _by_name(path, sections)
    plan = Plan(queue, places_of(path, queue), {name: [] for name in by_name})
    expansion = _Expansion(path, plan, by_name, registry, gpus)
    for section in in_order(path, by_name):
        plan.made[section.name] = expansion.expand(section)
    names = [job.name for job in plan.jobs]
    doubled = dict.fromkeys(name for name in names if names.count(name) > 1)
    plan.problems += [
        f"{path}: two jobs are named {name!r}; names must differ." for name in doubled
    ]
    plan.problems += [
        f"{path}: job {name!r}: the name is longer than {LONGEST} characters; vary fewer keys."
        for name in names
        if len(name) > LONGEST
    ]
    refuse(plan.problems)
    return plan


def _by_name(path: Path, sections: Sequence[JobSection]) -> dict[str, JobSection]:
    names = [section.name for section in sections]
    doubled = dict.fromkeys(name for name in names if names.count(name) > 1)
    problems = [f"{path}: two jobs are named {name!r}; names must differ." for name in doubled]
    problems += [
        f"{path}: job {name!r}: {{{name}}} stands for something else; name it otherwise."
        for name in FILLED
        if name in names
    ]
    refuse(problems)
    return {section.name: section for section in sections}


@dataclass
class _Expansion:
    """What the expansion of a table needs."""

    path: Path
    plan: Plan
    sections: dict[str, JobSection]
    registry: Registry
    gpus: int

    def expand(self, section: JobSection) -> list[Planned]:
        """The jobs of a table, in order."""
        kinds: dict[type[JobSection], Callable[[Any], Iterator[Planned]]] = {
            TrainSection: self._train,
            PredictSection: self._predict,
            EnsembleSection: self._ensemble,
            SubmitSection: self._submit,
            CommandSection: self._command,
        }
        return list(kinds[type(section)](section))

    def _job(
        self,
        section: JobSection,
        part: str,
        words: Sequence[str],
        uses: Sequence[Planned],
        recipe: Recipe | None = None,
    ) -> Job:
        """A command with everything that does not depend on its verb."""
        queue, name = self.plan.queue, f"{section.name}-{part}" if part else section.name
        usual = min(1, self.gpus) if section.verb in ("train", "predict") else 0
        gpus = usual if section.gpus is None else section.gpus
        if gpus > self.gpus:
            self._problem(section, f"gpus = {gpus}, and the queue has {self.gpus}")
        for word in section.options if section.verb != "hb" else ():
            if word.partition("=")[0] in OURS:
                self._problem(section, f"options has {word!r}, which the queue says itself")
        product = self.plan.places.product(section.verb, name)
        several = (f"--devices={gpus}",) if section.verb == "train" and gpus > 1 else ()
        goes_to = ("-o", product) if product else ()
        waits = [*uses, *self._resolve(section, "after", section.after)]
        return Job(
            name,
            section.verb,
            (*words, *goes_to, *several, *section.options),
            tuple(dict.fromkeys(each.job.name for each in waits)),
            product,
            gpus,
            queue.retries if section.retries is None else section.retries,
            queue.priority if section.priority is None else section.priority,
            recipe.model_dump(mode="json", exclude_unset=True, exclude_none=True) if recipe else {},
        )

    def _problem(self, section: JobSection, said: str) -> None:
        self.plan.problems.append(f"{self.path}: job {section.name!r}: {said}.")

    def _resolve(
        self, section: JobSection, key: str, names: Sequence[str], *verbs: str
    ) -> list[Planned]:
        """The jobs that a key names, whole tables or single parts, of the verbs that fit there."""
        found: list[Planned] = []
        for name in names:
            table = table_of(name, list(self.sections))
            assert table is not None  # seen to in in_order
            group = self.plan.made[table]
            parts = group if name == table else [each for each in group if each.job.name == name]
            verb = self.sections[table].verb
            if not parts and group:
                known = closest(name, (each.job.name for each in group))
                self._problem(
                    section, f"{key} names {name!r}, which is no job. {known.rstrip('.')}"
                )
            if verbs and verb not in verbs:
                fits = " or ".join(WHAT[each] for each in verbs)
                said = f"{key} names {name!r}, which is {WHAT[verb]}; expected {fits}"
                self._problem(section, said)
                parts = []
            found += parts
        return list({each.job.name: each for each in found}.values())

    def _train(self, section: TrainSection) -> Iterator[Planned]:
        fixed = dict(flatten(section.set))
        grid = list(flatten(section.grid))
        for key, values in grid:
            if not isinstance(values, list) or not values:
                self._problem(section, f"grid.{key} = {values!r}: expected a list of values")
                return
            if key in fixed:
                self._problem(section, f"{key} stands in set and in grid; it can be in one")
                return
        for choice in combinations(grid):
            yield from self._folds(section, {**fixed, **choice}, part_name(choice))

    def _folds(self, section: TrainSection, values: dict[str, Any], part: str) -> Iterator[Planned]:
        """One choice of values in every fold that is asked for."""
        folder = self.plan.places.folder
        overrides = [override(key, value, folder) for key, value in values.items()]
        folds: list[int | None] = section.fold if isinstance(section.fold, list) else [section.fold]
        if section.fold == "all":
            recipe = self._recipe(section, overrides, None)
            folds = list(range(recipe.data.folds)) if recipe else []
        several = isinstance(section.fold, list) or section.fold == "all"
        for fold in folds:
            recipe = self._recipe(section, overrides, fold)
            if recipe is None:
                continue
            name = "-".join([*([part] if part else []), *([f"fold={fold}"] if several else [])])
            sets = [f"--set={text}" for text in overrides]
            words = ["train", section.train, *sets, *([] if fold is None else [f"--fold={fold}"])]
            job = self._job(section, name, words, [], recipe)
            yield Planned(job, name, recipe, (job.name,), recipe.data.fold)

    def _recipe(
        self, section: TrainSection, overrides: Sequence[str], fold: int | None
    ) -> Recipe | None:
        """The checked recipe of a run; mistakes are added to the problems."""
        beside = self.plan.places.folder / section.train
        name = str(beside) if beside.exists() or beside.suffix == ".toml" else section.train
        try:
            return load_recipe(name, self.registry, overrides, fold=fold)
        except RecipeError as error:
            lines = error.problems
        except HandboneError as error:
            lines = [str(error)]
        for line in lines:
            self._problem(section, line.rstrip("."))
        return None

    def _predict(self, section: PredictSection) -> Iterator[Planned]:
        for run in self._resolve(section, "runs", section.runs, "train"):
            words = ["predict", run.job.product, "-i", section.predict]
            job = self._job(section, run.job.name, words, [run])
            yield Planned(job, run.job.name, run.recipe, run.members, run.fold)

    def _ensemble(self, section: EnsembleSection) -> Iterator[Planned]:
        """Weights are chosen on images that all members have: of `val` those of one fold."""
        stores = self._resolve(section, "ensemble", section.ensemble, "predict")
        groups: dict[int | None, list[Planned]] = {}
        for store in stores:
            predicted = self.sections[str(table_of(store.job.name, list(self.sections)))]
            own = isinstance(predicted, PredictSection) and predicted.predict == "val"
            groups.setdefault(store.fold if own else None, []).append(store)
        for fold, members in groups.items():
            if len(members) < 2:
                place = "" if len(groups) == 1 else f" of fold {fold}"
                said = f"one store{place} ({members[0].job.name}) has nothing to be weighed against"
                self._problem(section, said)
                continue
            part = "" if len(groups) == 1 else f"fold={fold}"
            words = ["ensemble", "optimize", *(each.job.product for each in members)]
            job = self._job(section, part, words, members)
            runs = tuple(run for each in members for run in each.members)
            yield Planned(job, part, None, runs, fold)

    def _submit(self, section: SubmitSection) -> Iterator[Planned]:
        on = self._resolve(section, "on", section.on, "predict")
        for source in self._resolve(section, "submit", (section.submit,), "predict", "ensemble"):
            stores = self._stores_of(section, source, on) if on else []
            words = ["submit", source.job.product]
            words += [word for each in stores for word in ("--on", each.job.product)]
            yield Planned(self._job(section, source.part, words, [source, *stores]), source.part)

    def _stores_of(
        self, section: SubmitSection, source: Planned, on: Sequence[Planned]
    ) -> list[Planned]:
        """For each member of a decision, in its order, the store that its run predicted."""
        if source.job.verb != "ensemble":
            self._problem(section, f"on is for a decision, and {source.job.name!r} is a store")
            return []
        stores = [next((s for s in on if s.members == (run,)), None) for run in source.members]
        for run, store in zip(source.members, stores, strict=True):
            if store is None:
                self._problem(section, f"on has no store of {run!r}, a member of the decision")
        return [store for store in stores if store is not None]

    def _command(self, section: CommandSection) -> Iterator[Planned]:
        named = self._resolve(section, "each", (section.each,)) if section.each else [None]
        for one in named:
            uses = [one] if one else []
            words: list[str] = []
            for word in section.hb:
                if word in ("{output}", "{part}") or not (word[:1] == "{" and word[-1:] == "}"):
                    words.append(self._fill(section, word, one.part if one else ""))
                    continue
                same = one is not None and word[1:-1] == section.each
                parts = [one] if same and one else self._resolve(section, "hb", (word[1:-1],))
                for each in parts:
                    if not each.job.product:
                        self._problem(section, f"{word} makes nothing that has a name")
                    words.append(each.job.product)
                    uses.append(each)
            part = one.part if one else ""
            yield Planned(self._job(section, part, words, uses), part)

    def _fill(self, section: CommandSection, word: str, part: str) -> str:
        """A word with the output folder and the part in it; no other braces reach `hb`."""
        filled = word.replace("{output}", str(self.plan.places.output))
        filled = filled.replace("{part}", part) if section.each else filled
        left = re.search(r"\{[^{}]*\}", filled)
        if left:
            said = f"{left[0]} stands inside the word {word!r}; a job is a whole word"
            self._problem(section, said)
        return filled
