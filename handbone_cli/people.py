"""Groups of people: images of one person never part, whether for folds or for cross-fitting."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable


def deal(persons: Iterable[str], groups: int, *, stream: int, seed: int) -> dict[str, int]:
    """A group (from 0) for every distinct person: shuffled, then dealt round.

    Groups differ in size by one person at most.

    Args:
        persons: in any order, with repetitions.
        groups: how many.
        stream: keeps one purpose's shuffle apart from another's under one seed.
        seed: of the shuffle.
    """
    people = sorted(set(persons))
    order = np.random.default_rng((stream, seed)).permutation(len(people))
    return {people[place]: turn % groups for turn, place in enumerate(order)}
