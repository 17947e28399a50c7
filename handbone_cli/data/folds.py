"""Groups of people for cross-validation: images of one person never part."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.data.traits import known_traits
from handbone_cli.errors import HandboneError
from handbone_cli.people import deal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.data.traits import PersonTraits
    from handbone_cli.host.interfaces import Sample

STREAM = 0xF01D
AGE_GROUPS = 4
"""Quarters of the people whose age is known."""

# Whole numbers, so that sums are exact and no machine's rounding decides between equal swaps.
TRAIT, PAIR, AGE_SD = 30, 10, 15


def assign(persons: Iterable[str], folds: int, seed: int) -> dict[str, int]:
    """A fold for every person, of sizes that differ by one at most.

    Raises:
        HandboneError: fewer people than folds.
    """
    people = set(persons)
    if len(people) < folds:
        raise HandboneError(
            f"data.folds = {folds}, but the data has {len(people)} people; "
            "lower data.folds or bring more people."
        )
    return deal(people, folds, stream=STREAM, seed=seed)


def balance(people: Sequence[PersonTraits], folds: int, seed: int) -> dict[str, int]:
    """A fold for every person, so that each has its share of every trait; sizes as `assign`'s.

    From the random deal, the two people of different folds change places whose exchange brings
    the folds closest to the whole, until no exchange helps. Counted are bent and straight wrists,
    left and right hands, sexes, quarters of age, pairs of these, and the mean age. Where nothing
    is known, the random deal stays.

    Over 20 simulated groups of 400 people in five folds, the worst share of a trait is off by
    1.0 % on average, where one person is 1.25 % of a fold; by 10.7 % when dealt at random, 2.0 %
    with scikit-learn's StratifiedGroupKFold and 1.2 % with iterative stratification (Sechidis et
    al., 2011), whose folds differ by up to four and two people (benchmarks/folds.py).

    Raises:
        HandboneError: fewer people than folds.
    """
    dealt = assign((each.person for each in people), folds, seed)
    if not known_traits(people):
        return dealt
    everyone = sorted(people, key=lambda each: each.person)
    groups = np.array([dealt[each.person] for each in everyone])
    features = _features(everyone)
    helped = True
    while helped:
        helped = False
        for one, other in combinations(range(folds), 2):
            helped |= _exchange(features, groups, one, other)
    return {each.person: int(group) for each, group in zip(everyone, groups, strict=True)}


def _exchange(
    features: NDArray[np.float64], groups: NDArray[np.int64], one: int, other: int
) -> bool:
    """Do the best exchanges between two folds, in place, while they help; whether there were any.

    The cost is the sum over folds of |sum of features - its share of the whole|^2. It is counted
    times the number of people, which keeps it whole.
    """
    any_done = False
    total = features.sum(axis=0)
    while True:
        mine, theirs = np.flatnonzero(groups == one), np.flatnonzero(groups == other)
        a, b = features[mine], features[theirs]
        excess = len(features) * (a.sum(axis=0) - b.sum(axis=0)) - (len(mine) - len(theirs)) * total
        distance = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1) - 2 * a @ b.T
        change = (b @ excess) - (a @ excess)[:, None] + len(features) * distance
        place = int(change.argmin())
        if change.flat[place] >= 0:
            return any_done
        give, take = np.unravel_index(place, change.shape)
        groups[mine[give]], groups[theirs[take]] = other, one
        any_done = True


def _features(people: Sequence[PersonTraits]) -> NDArray[np.float64]:
    """(N, F) whole numbers: each trait's counts, products of two traits' counts, and the age."""
    blocks = [np.array(block, np.float64) for block in _counts(people)]
    pairs = [
        (one[:, :, None] * other[:, None]).reshape(len(people), -1)
        for one, other in combinations(blocks, 2)
    ]
    ages = np.array([np.nan if each.age is None else each.age for each in people])
    known = ~np.isnan(ages)
    spread = float(ages[known].std()) if known.any() else 0.0
    offset = np.where(known, ages - (ages[known].mean() if known.any() else 0), 0)
    return np.column_stack(
        [
            TRAIT * np.concatenate(blocks, axis=1),
            PAIR * np.concatenate(pairs, axis=1),
            np.rint(AGE_SD * offset / (spread or 1)),
        ]
    )


def _counts(people: Sequence[PersonTraits]) -> list[list[list[int]]]:
    """For pose, side, sex and age a row a person; what is unknown is balanced too."""
    ages = [each.age for each in people if each.age is not None]
    steps = np.arange(1, AGE_GROUPS) / AGE_GROUPS
    limits = np.quantile(ages, steps) if ages else np.zeros(0)
    quarters = [
        AGE_GROUPS if each.age is None else int(np.searchsorted(limits, each.age))
        for each in people
    ]
    return [
        [[each.bent, each.posed - each.bent, each.images - each.posed] for each in people],
        [[each.left, each.right, each.images - each.left - each.right] for each in people],
        [[each.sex == sex for sex in ("female", "male", None)] for each in people],
        [[quarter == group for group in range(AGE_GROUPS + 1)] for quarter in quarters],
    ]


def divide(
    samples: Sequence[Sample], groups: Mapping[str, int], fold: int
) -> tuple[list[Sample], list[Sample]]:
    """(training, validation) samples where everyone's fold is given."""
    training = [sample for sample in samples if groups[sample.person] != fold]
    validation = [sample for sample in samples if groups[sample.person] == fold]
    return training, validation
