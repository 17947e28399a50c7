"""One unit of bones, fitted and cross-fitted: a search nested in groups of people left out.

For every group of people left out, the search runs on the others, and its result is drawn toward
uniform weights at one half as strongly as a cross-validation among those others says. What comes
of it is scored on the group. So no figure rests on people that anything was chosen on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.cross_fitting import one_standard_error
from handbone_cli.decision.search import find, search_of
from handbone_cli.decision.tabulation import ImageFile
from handbone_cli.decision.unit_tables import Found, UnitTables

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

STRENGTHS = (1.0, 0.75, 0.5, 0.25, 0.0)
"""Of the way back to uniform weights at one half; 1 is uniform, 0 what the search found."""


@dataclass(frozen=True)
class UnitFit:
    """What came of a unit of C bones on N images.

    Attributes:
        indices: the bones.
        chosen: the result on all people, shrunk.
        strength: how strongly.
        raw: the result on all people as the search found it.
        default: (C, N) Dice of uniform weights at one half.
        in_sample: (C, N) Dice of `raw`, on the people it was found on.
        raw_left_out: (C, N) Dice of the search alone, without shrinking, on people left out.
        left_out: (C, N) Dice of the whole procedure on people left out.
    """

    indices: tuple[int, ...]
    chosen: Found
    strength: float
    raw: Found
    default: NDArray[np.float64]
    in_sample: NDArray[np.float64]
    raw_left_out: NDArray[np.float64]
    left_out: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Fitting:
    """Fits units, in any process.

    Attributes:
        files: N images' statistics.
        persons: (N,) whose image it is.
        groups: (N,) the group of people that an image belongs to, from 0.
        thresholds: (T,) ascending, one half among them.
        method: a name that `search_of` knows.
        soft: whether weights are searched for by soft Dice.
        jointly: whether weights are valued at their best thresholds.
        seed: of what is drawn at random.
    """

    files: tuple[Path, ...]
    persons: tuple[str, ...]
    groups: NDArray[np.intp]
    thresholds: NDArray[np.float64]
    method: str = "table"
    soft: bool = False
    jointly: bool = False
    seed: int = 0

    def __call__(self, indices: tuple[int, ...]) -> UnitFit:
        """Fit the unit of these bones."""
        opened = [ImageFile.open(path) for path in self.files]
        tables = UnitTables(
            opened,
            indices,
            self.groups,
            self.thresholds,
            soft=self.soft,
            jointly=self.jointly,
        )
        return Nested(tables, self).fit()


class Nested:
    """The search on all people but some groups, and what its results score; each done once."""

    def __init__(self, tables: UnitTables, fitting: Fitting) -> None:
        self._tables, self._fitting = tables, fitting
        self._search = search_of(fitting.method, fitting.seed)
        self._found: dict[frozenset[int], Found] = {}
        self._default = tables.dice(tables.uniform)

    def fit(self) -> UnitFit:
        """Everything, on all people and on those left out."""
        everybody: frozenset[int] = frozenset()
        left_out, raw_left_out = np.empty_like(self._default), np.empty_like(self._default)
        for group in range(len(self._tables.group_sizes)):
            own, images = frozenset({group}), self._tables.groups == group
            left_out[:, images] = self._tables.dice(self.judged_without(own))[:, images]
            raw_left_out[:, images] = self._dice(own, 0.0)[:, images]
        strength = self._strength(everybody)
        return UnitFit(
            self._tables.indices,
            self._at(everybody, strength),
            strength,
            self._at(everybody, 0.0),
            self._default,
            self._dice(everybody, 0.0),
            raw_left_out,
            left_out,
        )

    def judged_without(self, left_out: frozenset[int]) -> Found:
        """What the whole procedure chooses when it sees nothing of some groups."""
        return self._at(left_out, self._strength(left_out))

    def _at(self, left_out: frozenset[int], strength: float) -> Found:
        if strength == 1:
            return self._tables.uniform
        if left_out not in self._found:
            trained = np.ones(len(self._tables.group_sizes), bool)
            trained[list(left_out)] = False
            several = len(self._tables.thresholds) > 1
            self._found[left_out] = find(self._tables, trained, self._search, thresholds=several)
        return self._found[left_out].shrunk(self._tables.start, strength)

    def _dice(self, left_out: frozenset[int], strength: float) -> NDArray[np.float64]:
        return self._tables.dice(self._at(left_out, strength))

    def _strength(self, left_out: frozenset[int]) -> float:
        """How strongly to shrink, by cross-validation among the groups that are not left out."""
        groups = self._tables.groups
        inner = [g for g in range(len(self._tables.group_sizes)) if g not in left_out]
        if len(inner) < 2:
            return STRENGTHS[0]
        scores = np.zeros((len(STRENGTHS), len(groups)))
        for group in inner:
            images = groups == group
            for place, strength in enumerate(STRENGTHS):
                dice = self._dice(left_out | {group}, strength)
                scores[place, images] = dice[:, images].mean(axis=0)
        trained = np.isin(groups, inner)
        persons = [p for p, own in zip(self._fitting.persons, trained, strict=True) if own]
        return STRENGTHS[one_standard_error(scores[:, trained], persons)]
