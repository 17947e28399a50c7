"""The bones that share a set of weights: what any weights score on them, person group by group."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.class_table import ClassTable
from handbone_cli.decision.thresholds import best, middle
from handbone_cli.decision.weights import shrink

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.tabulation import ImageFile

MOST_TABLES = 2**28
"""Bytes of tables kept in memory between two questions; others are read again."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a search chose for the bones of a unit.

    Attributes:
        weights: (M,).
        places: (C,) of the bones' thresholds in the grid.
    """

    weights: NDArray[np.float64]
    places: NDArray[np.intp]

    def shrunk(self, start: int, strength: float) -> Found:
        """Moved toward uniform weights at one half by a part of the way."""
        from handbone_cli.decision import thresholds

        return Found(
            shrink(self.weights, strength), thresholds.shrink(self.places, start, strength)
        )


class UnitTables:
    """Answers what weights score on the C bones of a unit; every question is answered once.

    Args:
        files: N images' statistics.
        indices: the bones.
        groups: (N,) the group of people that an image belongs to, from 0; none is empty.
        thresholds: (T,) ascending, one half among them.
        soft: whether weights are valued by soft Dice.
        jointly: whether they are valued at the thresholds that suit them best; else at one half.
    """

    def __init__(
        self,
        files: Sequence[ImageFile],
        indices: Sequence[int],
        groups: NDArray[np.intp],
        thresholds: NDArray[np.float64],
        *,
        soft: bool = False,
        jointly: bool = False,
    ) -> None:
        self._files, self.indices, self.groups = files, tuple(indices), groups
        self.thresholds, self.start = thresholds, middle(thresholds)
        self.soft, self.jointly = soft, jointly
        self.members = (files[0].constants.shape[1] - 3) // 2
        self.group_sizes = np.bincount(groups)
        self._belongs = (np.arange(len(self.group_sizes))[:, None] == groups).astype(np.float64)
        self._hard: dict[bytes, NDArray[np.float64]] = {}
        self._softly: dict[bytes, NDArray[np.float64]] = {}
        self._exact: dict[bytes, NDArray[np.float64]] = {}
        self._loaded: OrderedDict[int, ClassTable] = OrderedDict()

    @property
    def uniform(self) -> Found:
        """Equal weights at one half."""
        places = np.full(len(self.indices), self.start, np.intp)
        return Found(np.full(self.members, 1 / self.members), places)

    def tables(self) -> Iterator[ClassTable]:
        """The bones' tables, one after the other."""
        for index in self.indices:
            if index not in self._loaded:
                self._loaded[index] = ClassTable.load(self._files, index)
                while sum(table.size for table in self._loaded.values()) > MOST_TABLES:
                    self._loaded.popitem(last=False)
                    if not self._loaded:
                        break
            yield (
                self._loaded[index]
                if index in self._loaded
                else ClassTable.load(self._files, index)
            )

    def prepare(self, rows: Iterable[NDArray[np.float64]]) -> None:
        """Answer for many weights (M,) while each bone's table is read once."""
        hard = [row for row in rows if row.tobytes() not in self._hard]
        if not hard:
            return
        sums = np.stack(
            [
                [self._belongs @ table.dice(row, self.thresholds) for row in hard]
                for table in self.tables()
            ],
            axis=1,
        )
        for row, each in zip(hard, sums, strict=True):
            self._hard[row.tobytes()] = each

    def value(self, weights: NDArray[np.float64], trained: NDArray[np.bool_]) -> float:
        """What weights are worth on some groups (G,): their bones' and images' mean Dice."""
        return float(self.values([weights], trained)[0])

    def values(
        self, rows: Sequence[NDArray[np.float64]], trained: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """What each of K weights is worth: (K,); each bone's table is read once for all of them."""
        if self.soft:
            total = np.stack([self._soft_sums(row) for row in rows]) @ trained
        else:
            self.prepare(rows)
            every = np.stack([self._hard[row.tobytes()] for row in rows])
            if not self.jointly:
                every = every[..., [self.start]]
            total = np.tensordot(every, trained, (2, 0)).max(axis=2)
        return np.asarray(total.mean(axis=1) / (self.group_sizes @ trained))

    def best_places(
        self, weights: NDArray[np.float64], trained: NDArray[np.bool_]
    ) -> NDArray[np.intp]:
        """The threshold of every bone that suits some weights best on some groups: (C,)."""
        return best(np.tensordot(trained, self._hard_sums(weights), (0, 1)), self.start)

    def dice(self, found: Found) -> NDArray[np.float64]:
        """Hard Dice of every bone and image: (C, N)."""
        key = found.weights.tobytes() + found.places.tobytes()
        if key not in self._exact:
            at = [self.thresholds[[place]] for place in found.places]
            self._exact[key] = np.stack(
                [
                    table.dice(found.weights, each)[:, 0]
                    for table, each in zip(self.tables(), at, strict=True)
                ]
            )
        return self._exact[key]

    def _hard_sums(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over a group's images (C, G, T)."""
        self.prepare([weights])
        return self._hard[weights.tobytes()]

    def _soft_sums(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sums over a group's images (C, G)."""
        key = weights.tobytes()
        if key not in self._softly:
            self._softly[key] = np.stack(
                [self._belongs @ table.soft_dice(weights) for table in self.tables()]
            )
        return self._softly[key]
