"""Choosing by cross-fitting: what is chosen is judged on people it was not chosen on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.people import deal
from handbone_cli.scores import clustered_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

STREAM = 0xC505


@dataclass(frozen=True, eq=False)
class Choice:
    """What was chosen and what it is worth.

    Attributes:
        chosen: (C,) row of the candidates for every class, after the verdict.
        kept: whether the cross-fitted gain is larger than its standard error.
        uniform: mean Dice of uniform weights.
        in_sample: mean Dice of the best candidates on the people they were chosen on.
        cross_fitted: mean Dice of the procedure on people left out if it is kept, else of uniform
            weights. The verdict looks at the same figures: by chance alone about one in six
            ensembles of equal models is kept, as the one-standard-error rule has it.
        gain: cross-fitted gain of choosing over uniform, before the verdict.
        gain_error: its standard error, clustered by person.
        gain_per_class: (C,) the same gain, class by class.
    """

    chosen: NDArray[np.intp]
    kept: bool
    uniform: float
    in_sample: float
    cross_fitted: float
    gain: float
    gain_error: float
    gain_per_class: NDArray[np.float64]


def choose(
    scores: NDArray[np.float64],
    persons: Sequence[str],
    *,
    per_class: bool,
    folds: int = 5,
    seed: int = 0,
) -> Choice:
    """Choose among candidates by the one-standard-error rule, and cross-fit the choosing.

    A candidate replaces uniform only where its mean paired gain exceeds one standard error
    (clustered by person) on the people it is chosen on. The whole procedure is repeated with each
    group of people left out; if its gain there does not exceed its own standard error, all classes
    stay uniform.

    Args:
        scores: (K, N, C) Dice of K candidates, N images, C classes; candidate 0 is uniform.
        persons: (N,) whose image it is.
        per_class: a candidate a class, or one for all.
        folds: groups of people.
        seed: of the groups.

    Raises:
        HandboneError: fewer than two people.
    """
    membership = groups_of(persons, folds, seed)
    left_out = np.empty(scores.shape[1:])
    for fold in np.unique(membership):
        others = membership != fold
        rows = select(scores[:, others], [p for p, o in zip(persons, others, strict=True) if o],
                      per_class=per_class)  # fmt: skip
        left_out[~others] = _take(scores[:, ~others], rows)
    gains = left_out - scores[0]
    gain, error = float(gains.mean()), clustered_error(gains.mean(axis=1), list(persons))
    kept = gain > error
    rows = select(scores, persons, per_class=per_class)
    return Choice(
        chosen=rows if kept else np.zeros_like(rows),
        kept=kept,
        uniform=float(scores[0].mean()),
        in_sample=float(_best(scores, per_class=per_class)),
        cross_fitted=float(left_out.mean() if kept else scores[0].mean()),
        gain=gain,
        gain_error=error,
        gain_per_class=gains.mean(axis=0),
    )


def groups_of(persons: Sequence[str], folds: int, seed: int) -> NDArray[np.intp]:
    """The group of people (N,) that every image is left out with, from 0; none is empty.

    Raises:
        HandboneError: fewer than two people.
    """
    people = sorted(set(persons))
    if len(people) < 2:
        raise HandboneError("choosing weights needs images of at least two people.")
    group = deal(people, min(folds, len(people)), stream=STREAM, seed=seed)
    return np.array([group[person] for person in persons], np.intp)


def one_standard_error(scores: NDArray[np.float64], persons: Sequence[str]) -> int:
    """The first of some settings, the plainest first, that is as good as the best one.

    That is: behind it by no more than one standard error of the paired difference, clustered by
    person (the rule of Breiman et al., 1984, on differences). The first is taken, too, where there
    are fewer than two people to tell by.

    Args:
        scores: (S, N) of S settings on N images.
        persons: (N,) whose image it is.
    """
    best = int(scores.mean(axis=1).argmax())
    for place in range(best):
        behind = scores[best] - scores[place]
        if not behind.mean() > clustered_error(behind, list(persons)):
            return place
    return best


def select(
    scores: NDArray[np.float64], persons: Sequence[str], *, per_class: bool
) -> NDArray[np.intp]:
    """The row of the candidate for every class (C,), by the one-standard-error rule."""
    classes = scores.shape[2]
    if not per_class:
        return np.full(classes, _select_one(scores.mean(axis=2), persons), np.intp)
    return np.array([_select_one(scores[:, :, c], persons) for c in range(classes)], np.intp)


def _select_one(scores: NDArray[np.float64], persons: Sequence[str]) -> int:
    best = int(scores.mean(axis=1).argmax())
    return best if one_standard_error(scores[[0, best]], persons) else 0


def _best(scores: NDArray[np.float64], *, per_class: bool) -> float:
    """The mean Dice that naive choosing reports."""
    means = scores.mean(axis=1)
    return float(means.max(axis=0).mean() if per_class else means.mean(axis=1).max())


def _take(scores: NDArray[np.float64], rows: NDArray[np.intp]) -> NDArray[np.float64]:
    return np.stack([scores[row, :, c] for c, row in enumerate(rows)], axis=1)
