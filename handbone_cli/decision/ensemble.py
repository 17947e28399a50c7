"""From stores and labels to a decision: count, search, cross-fit, write down what it is worth."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.bone_groups import Census
from handbone_cli.decision import tabulation
from handbone_cli.decision.appraisal import Appraisal, appraise
from handbone_cli.decision.cross_fitting import groups_of
from handbone_cli.decision.document import Decision, check_same_images, model_of, shared_rules
from handbone_cli.decision.fitting import Fitting
from handbone_cli.decision.thresholds import DEFAULT, WIDEST, grid
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.decision.fitting import UnitFit
    from handbone_cli.decision.unit_tables import Found
    from handbone_cli.masks import LabelSource
    from handbone_cli.store.store import Store

SCOPES = ("all", "class", "group")
THRESHOLDS = ("half", "after", "joint")


@dataclass(frozen=True)
class Settings:
    """How to choose.

    Attributes:
        scope: one set of weights for `all` bones, one for each `class`, or one for each `group`.
        method: `table`, `greedy`, `line` or `source`; `uniform` chooses thresholds alone.
        metric: what weights are searched for by, `hard` or `soft` Dice; the verdict is hard Dice.
        thresholds: `half` leaves them there; `after` chooses them for the weights found, `joint`
            values weights at the thresholds that suit them best. They are always a bone's own.
        limits: (lowest, highest) threshold.
        folds: groups of people.
        seed: of the groups, and of what a search draws.
        allow_seen: whether people count that a model was trained on.
        all_in: take what the search found on all people, without shrinking and verdict.
    """

    scope: str = "class"
    method: str = "table"
    metric: str = "hard"
    thresholds: str = "half"
    limits: tuple[float, float] = WIDEST
    folds: int = 5
    seed: int = 21
    allow_seen: bool = False
    all_in: bool = False

    def grid(self) -> NDArray[np.float64]:
        """The thresholds to choose among."""
        return np.array([DEFAULT]) if self.thresholds == "half" else grid(self.limits)

    def told(self) -> dict[str, Any]:
        """What the decision file says."""
        said = {**asdict(self), "limits": [*self.limits]}
        if self.thresholds == "half":
            del said["limits"]
        return said


@dataclass(frozen=True)
class Workplace:
    """Where and by whom work is done.

    Attributes:
        cache: the folder for statistics.
        map_jobs: does work on jobs, in processes or not.
        progress: (what, unit) -> a context that is told what is done and the total.
    """

    cache: Path
    map_jobs: tabulation.MapJobs
    progress: Callable[[str, str], AbstractContextManager[Callable[[int, int], None]]]


def usable_images(stores: Sequence[Store], labels: LabelSource, *, allow_seen: bool) -> list[str]:
    """The labelled images that every store has, refused where a model was trained on the person.

    Raises:
        HandboneError: no such image; classes differ; a person was trained on (unless `allow_seen`).
    """
    first = stores[0]
    for store in stores[1:]:
        if store.class_names != first.class_names:
            raise HandboneError(f"{store.path}: has other classes than {first.path}.")
        check_same_images(first, store)
    shared = [n for n in first.image_ids if all(n in s.images for s in stores) and labels.has(n)]
    if not shared:
        raise HandboneError(f"{first.path}: none of its images has labels; see --labels.")
    for store in stores:
        seen = [name for name in shared if store.images[name].seen]
        if seen and not allow_seen:
            raise HandboneError(
                f"{store.path}: its model was trained on the people of {len(seen)} of these images "
                f"({seen[0]}, ...), so their masks prove nothing; predict people left out, or say "
                "--allow-seen to use them knowingly."
            )
    return shared


def optimize(
    stores: Sequence[Store], labels: LabelSource, settings: Settings, place: Workplace
) -> tuple[Decision, Appraisal]:
    """Choose weights and thresholds, and say what the choice is worth on people left out.

    Raises:
        HandboneError: nothing to choose; images, people or settings that do not do.
    """
    refuse_idle(stores, settings)
    thresholds = settings.grid()
    image_ids = usable_images(stores, labels, allow_seen=settings.allow_seen)
    persons = tuple(stores[0].images[name].person for name in image_ids)
    groups = groups_of(persons, settings.folds, settings.seed)
    limits = float(thresholds[0]), float(thresholds[-1])
    jobs = tabulation.jobs_of(stores, image_ids)
    work = tabulation.Tabulation(labels, limits, place.cache)
    with place.progress("Counting tuples", "images") as report:
        files = tabulation.count_images(jobs, work, place.map_jobs, report)
    names = stores[0].class_names
    units = _units(settings.scope, stores[0], image_ids, files)
    fitting = Fitting(
        tuple(files),
        persons,
        groups,
        thresholds,
        settings.method,
        soft=settings.metric == "soft",
        jointly=settings.thresholds == "joint",
        seed=settings.seed,
    )
    fits = []
    with place.progress("Choosing", "bones") as report:
        for fit in place.map_jobs(fitting, units):
            fits.append(fit)
            report(sum(len(each.indices) for each in fits), len(names))
    appraisal = appraise(fits, persons)
    weights, chosen = _decided(fits, thresholds, len(stores), appraisal, all_in=settings.all_in)
    told = settings.told()
    if settings.scope == "group":
        told["groups"] = [[names[index] for index in unit] for unit in units]
    people = {"images": len(image_ids), "people": len(set(persons))}
    decision = Decision(
        names,
        weights,
        chosen,
        tuple(store.path for store in stores),
        tuple(store.digest() for store in stores),
        tuple(model_of(store) for store in stores),
        shared_rules([s.manifest["settings"].get("postprocess", []) for s in stores]),
        people | appraisal.figures(names),
        told,
    )
    return decision, appraisal


def refuse_idle(stores: Sequence[Store], settings: Settings) -> None:
    """Refuse what has nothing to choose, or contradicts itself."""
    if len(stores) < 2 and settings.thresholds == "half":
        raise HandboneError(
            f"{stores[0].path}: one store has nothing to be weighed against; name two or more, or "
            f"use it as it is: `hb submit {stores[0].path}`."
        )
    if settings.method == "line" and settings.metric == "soft":
        raise HandboneError("--method line looks for steps of hard Dice; leave out --metric soft.")
    if settings.method == "source" and settings.metric == "hard":
        raise HandboneError("--method source searches by soft Dice; say --metric soft with it.")


def _decided(
    fits: Sequence[UnitFit],
    thresholds: NDArray[np.float64],
    members: int,
    appraisal: Appraisal,
    *,
    all_in: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (C, M) and thresholds (C,) after the verdict."""
    classes = len(appraisal.bones)
    weights = np.full((classes, members), 1 / members)
    chosen = np.full(classes, DEFAULT)
    if appraisal.kept or all_in:
        for fit in fits:
            found: Found = fit.raw if all_in else fit.chosen
            weights[list(fit.indices)] = found.weights
            chosen[list(fit.indices)] = thresholds[found.places]
    return weights, chosen


def _units(
    scope: str, store: Store, image_ids: Sequence[str], files: Sequence[Path]
) -> list[tuple[int, ...]]:
    """The bones that share weights: all, each by itself, or those of a group."""
    classes = range(len(store.class_names))
    if scope != "group":
        return [tuple(classes)] if scope == "all" else [(index,) for index in classes]
    census = Census(len(classes))
    for image_id, path in zip(image_ids, files, strict=True):
        image, entry = tabulation.ImageFile.open(path), store.images[image_id]
        census.add(image.constants[:, 2], image.shared, entry.height * entry.width)
    groups = census.groups()
    parted = groups.clusters()
    small = tuple(i for i in groups.small if not any(i in unit for unit in parted))
    rest = tuple(i for i in classes if not any(i in unit for unit in [*parted, small]))
    return [unit for unit in (*parted, small, rest) if unit]
