"""Candidate weights: uniform first, members left out, a lattice, the way from each to uniform."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LATTICE_STEPS = 5
MOST_LATTICE_MEMBERS = 3
MOST_SUBSET_MEMBERS = 5
SHRINKAGE = (0.25, 0.5, 0.75)


def candidates(members: int) -> NDArray[np.float64]:
    """Distinct weights (K, M) whose rows sum to 1; row 0 is uniform.

    Members left out: the means of all subsets of up to five members, of more the singles and pairs.
    Every one is joined with uniform by three steps of shrinkage. Up to three members get a lattice
    of fifths over the simplex, too.
    """
    uniform = np.full(members, 1 / members)
    corners = list(_subset_means(members))
    shrunk = [s * uniform + (1 - s) * corner for corner in corners for s in SHRINKAGE]
    lattice = list(simplex(members, LATTICE_STEPS)) if members <= MOST_LATTICE_MEMBERS else []
    rows = np.array([uniform, *corners, *shrunk, *lattice])
    _, first = np.unique(np.round(rows, 9), axis=0, return_index=True)
    return np.asarray(rows[np.sort(first)])


def shrink(weights: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Weights (..., M) moved toward uniform by a part of the way; 1 gives just what uniform is."""
    uniform = np.full(weights.shape[-1], 1 / weights.shape[-1])
    if strength == 1:
        return np.array(np.broadcast_to(uniform, weights.shape))
    return np.asarray(strength * uniform + (1 - strength) * weights)


def simplex(members: int, steps: int) -> Iterator[NDArray[np.float64]]:
    """All weights in whole parts of 1 / steps."""
    for cuts in itertools.combinations_with_replacement(range(steps + 1), members - 1):
        yield np.diff([0, *cuts, steps]) / steps


def _subset_means(members: int) -> Iterator[NDArray[np.float64]]:
    largest = members if members <= MOST_SUBSET_MEMBERS else 2
    for count in range(1, largest + 1):
        for chosen in itertools.combinations(range(members), count):
            row = np.zeros(members)
            row[list(chosen)] = 1 / count
            yield row
