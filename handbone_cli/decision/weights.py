"""Candidate weights: uniform first, singles, pairs, a lattice, and the way from each to uniform."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LATTICE_STEPS = 5
MOST_LATTICE_MEMBERS = 3
SHRINKAGE = (0.25, 0.5, 0.75)


def candidates(members: int) -> NDArray[np.float64]:
    """Distinct weights (K, M) whose rows sum to 1; row 0 is uniform.

    Up to three members get a lattice of fifths over the simplex; more only singles and pairs.
    Every corner is joined with uniform by three steps of shrinkage.
    """
    uniform = np.full(members, 1 / members)
    corners = list(_singles_and_pairs(members))
    shrunk = [s * uniform + (1 - s) * corner for corner in corners for s in SHRINKAGE]
    lattice = list(_lattice(members)) if members <= MOST_LATTICE_MEMBERS else []
    rows = np.array([uniform, *corners, *shrunk, *lattice])
    _, first = np.unique(np.round(rows, 9), axis=0, return_index=True)
    return rows[np.sort(first)]


def _singles_and_pairs(members: int) -> Iterator[NDArray[np.float64]]:
    for count in (1, 2):
        for chosen in itertools.combinations(range(members), count):
            row = np.zeros(members)
            row[list(chosen)] = 1 / count
            yield row


def _lattice(members: int) -> Iterator[NDArray[np.float64]]:
    for parts in itertools.product(range(LATTICE_STEPS + 1), repeat=members):
        if sum(parts) == LATTICE_STEPS:
            yield np.array(parts) / LATTICE_STEPS
