"""The simplex method of Nelder and Mead (1965) with the usual coefficients, as SciPy has it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

LARGER, OF_ZERO = 1.05, 0.00025
"""The first simplex: a coordinate times this, or this where it is 0."""


def minimize(
    loss: Callable[[NDArray[np.float64]], float], start: NDArray[np.float64], tolerance: float
) -> NDArray[np.float64]:
    """A local minimum near `start` (M,), in 200 M steps at most.

    Args:
        loss: (M,) -> a number.
        start: where to begin.
        tolerance: it ends when neither places nor losses of the simplex differ by more.
    """
    count = len(start)
    points = np.repeat(start[None], count + 1, axis=0)
    for axis in range(count):
        points[axis + 1, axis] = LARGER * start[axis] if start[axis] else OF_ZERO
    losses = np.array([loss(point) for point in points])
    for _ in range(200 * count):
        order = losses.argsort(kind="stable")
        points, losses = points[order], losses[order]
        spread = np.abs(points[1:] - points[0]).max(), np.abs(losses[1:] - losses[0]).max()
        if max(spread) <= tolerance:
            break
        _step(loss, points, losses)
    return np.asarray(points[losses.argmin()])


def _step(
    loss: Callable[[NDArray[np.float64]], float],
    points: NDArray[np.float64],
    losses: NDArray[np.float64],
) -> None:
    """Reflect, expand, contract or shrink, in place; the points are sorted by their losses."""
    middle = points[:-1].mean(axis=0)

    def along(part: float) -> tuple[float, NDArray[np.float64]]:
        point = middle + part * (points[-1] - middle)
        return loss(point), point

    reflected = along(-1)
    if reflected[0] < losses[0]:
        moved = min(along(-2), reflected, key=lambda each: each[0])
    elif reflected[0] < losses[-2]:
        moved = reflected
    else:
        outside = reflected[0] < losses[-1]
        moved = along(-0.5 if outside else 0.5)
        if moved[0] > (reflected[0] if outside else losses[-1]):
            points[1:] = points[0] + 0.5 * (points[1:] - points[0])
            losses[1:] = [loss(point) for point in points[1:]]
            return
    losses[-1], points[-1] = moved
