"""Ways to look for weights on some groups of people: a table, greedy, line search, the source's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np

from handbone_cli.decision.line_search import search_line
from handbone_cli.decision.nelder_mead import minimize
from handbone_cli.decision.unit_tables import Found
from handbone_cli.decision.weights import candidates, simplex

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.decision.unit_tables import UnitTables

STREAM = 0x6EED
BAGS, BAG_PART, STEPS = 10, 0.5, 10
"""Of greedy selection: bags, the part of the members in each, picks a bag."""
SWEEPS = 2
"""Of line search: how often every member's direction is tried."""
LEAST_GAIN = 1e-9
GRID_STEPS, TOLERANCE = 5, 1e-4
"""Of the source's: a grid of 0.2, then Nelder-Mead to this."""


class Search(Protocol):
    """Chooses weights on the groups of people that it may look at."""

    def __call__(self, tables: UnitTables, trained: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Weights (M,) chosen on groups (G,)."""


def search_of(method: str, seed: int) -> Search:
    """The search of a name."""
    searches: dict[str, Search] = {
        "table": from_table,
        "greedy": partial(greedy, seed=seed),
        "line": along_lines,
        "source": as_the_source,
        "uniform": uniform,
    }
    return searches[method]


def find(
    tables: UnitTables, trained: NDArray[np.bool_], search: Search, *, thresholds: bool
) -> Found:
    """Weights, and thresholds for them unless all stay at one half."""
    weights = search(tables, trained)
    places = tables.best_places(weights, trained) if thresholds else tables.uniform.places
    return Found(weights, places)


def uniform(
    tables: UnitTables,
    trained: NDArray[np.bool_],  # noqa: ARG001
) -> NDArray[np.float64]:
    """Equal weights: only thresholds are chosen."""
    return tables.uniform.weights


def from_table(tables: UnitTables, trained: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The best of the candidates; of equal ones the first, which is uniform."""
    rows = candidates(tables.members)
    values = tables.values([*rows], trained)
    return np.asarray(rows[int(values.argmax())])


def greedy(tables: UnitTables, trained: NDArray[np.bool_], *, seed: int = 0) -> NDArray[np.float64]:
    """Ensemble selection with replacement from bags of members (Caruana et al., 2004 and 2006).

    From half of the members, drawn anew for each of ten bags, the one that helps most is added to
    the ensemble ten times over; a member's weight is how often it was picked over all bags. The
    best prefix of the picks counts.
    """
    members = tables.members
    rng = np.random.default_rng((STREAM, seed))
    size = min(members, max(2, round(BAG_PART * members)))
    total = np.zeros(members)
    for _ in range(BAGS):
        bag = np.sort(rng.choice(members, size, replace=False))
        total += _pick(tables, trained, bag)
    return np.asarray(total / total.sum())


def _pick(
    tables: UnitTables, trained: NDArray[np.bool_], bag: NDArray[np.intp]
) -> NDArray[np.float64]:
    counts = np.zeros(tables.members)
    reached: list[tuple[float, NDArray[np.float64]]] = []
    for step in range(1, STEPS + 1):
        rows = [(counts + np.eye(tables.members)[member]) / step for member in bag]
        values = tables.values(rows, trained)
        counts[bag[int(values.argmax())]] += 1
        reached.append((float(values.max()), counts / step))
    return max(reached, key=lambda each: each[0])[1]


def along_lines(tables: UnitTables, trained: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The table's best, then exact line searches from there toward each member alone.

    Along a line a mean of hard Dice is a step function; every step is looked at, and the middle of
    the best one is taken (as Och, 2003, tunes a translator's weights).
    """
    weights = from_table(tables, trained)
    value = tables.value(weights, trained)
    for _ in range(SWEEPS):
        before = value
        for corner in np.eye(tables.members):
            places = (
                tables.best_places(weights, trained) if tables.jointly else tables.uniform.places
            )
            part = search_line(tables, trained, Found(weights, places), corner)
            moved = (1 - part) * weights + part * corner
            reached = tables.value(moved, trained)
            if reached > value + LEAST_GAIN:
                weights, value = moved, reached
        if value <= before + LEAST_GAIN:
            break
    return weights


def as_the_source(tables: UnitTables, trained: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The winners' search: a grid over the simplex, then Nelder-Mead on clipped weights.

    It maximises soft Dice; `tables.soft` must be set. Kept as a reference.
    """

    def loss(raw: NDArray[np.float64]) -> float:
        return -tables.value(_onto_simplex(raw), trained)

    rows = list(simplex(tables.members, GRID_STEPS))
    start = rows[int(np.argmin([loss(row) for row in rows]))]
    return _onto_simplex(minimize(loss, start, TOLERANCE))


def _onto_simplex(raw: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(raw, 0, None)
    total = clipped.sum()
    return clipped / total if total > 0 else np.full(len(raw), 1 / len(raw))
