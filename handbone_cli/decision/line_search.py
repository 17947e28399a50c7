"""Exact line search: the mean hard Dice along a line of weights, at every one of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.decide import weighted_sum
from handbone_cli.scores import dice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.decision.class_table import ClassTable
    from handbone_cli.decision.unit_tables import Found, UnitTables


def search_line(
    tables: UnitTables, trained: NDArray[np.bool_], found: Found, corner: NDArray[np.float64]
) -> float:
    """How far to go from some weights toward others: the middle of the best stretch, 0 to 1.

    Args:
        tables: the bones.
        trained: (G,) the groups of people that count.
        found: where the line begins, with the thresholds.
        corner: (M,) where it ends.
    """
    counts = trained[tables.groups]
    parts = [
        _steps(table, found.weights, corner, float(tables.thresholds[place]), counts)
        for table, place in zip(tables.tables(), found.places, strict=True)
    ]
    at = np.concatenate([places for places, _ in parts])
    order = at.argsort(kind="stable")
    at = np.concatenate([[0.0], at[order], [1.0]])
    value = np.concatenate([[0.0], np.concatenate([gains for _, gains in parts])[order].cumsum()])
    value[np.diff(at) <= 0] = -np.inf  # a stretch of no length
    best = int(value.argmax())
    return 0.0 if value[best] <= 0 else float((at[best] + at[best + 1]) / 2)


def _steps(
    table: ClassTable,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    threshold: float,
    counts: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Where tuples change sides along a line, and what each adds to the sum of Dice over images."""
    cut = 255 * threshold
    first = weighted_sum(table.members, start)
    last = weighted_sum(table.members, end)
    inside, outside = table.counts()
    image = np.repeat(np.arange(len(table.truth)), np.diff(table.starts))
    taken = first > cut
    base = [
        table.always[:, side]
        + np.bincount(image[taken], pixels[taken], len(table.truth)).astype(np.int64)
        for side, pixels in enumerate((inside, outside))
    ]
    moving = np.flatnonzero((taken != (last > cut)) & counts[image])
    at = np.clip((cut - first[moving]) / (last[moving] - first[moving]), 0, 1)
    order = np.lexsort((at, image[moving]))
    moving, at = moving[order], at[order]
    sign = np.where(taken[moving], -1.0, 1.0)
    of = image[moving]
    truth = table.truth[of]
    hits = (base[0][of] + _running(sign * inside[moving], of)).astype(np.int64)
    wrong = (base[1][of] + _running(sign * outside[moving], of)).astype(np.int64)
    after = dice(hits, hits + wrong, truth)
    begins = np.concatenate([np.ones(1, bool), of[1:] != of[:-1]])[: len(of)]
    start_value = dice(base[0][of], base[0][of] + base[1][of], truth)
    before = np.where(begins, start_value, np.concatenate([after[:1], after[:-1]])[: len(of)])
    return at, after - before


def _running(values: NDArray[np.float64], of: NDArray[np.intp]) -> NDArray[np.float64]:
    """Sums up to and with each value, anew where `of`, which is sorted, changes."""
    if not len(values):
        return values
    total = values.cumsum()
    first = np.searchsorted(of, of, "left")
    return total - (total[first] - values[first])
