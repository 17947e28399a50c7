"""Thresholds to choose among: half-way between two stored values, and the way back to one half."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from numpy.typing import NDArray

DEFAULT = 0.5
WIDEST = (0.2, 0.8)
"""Below, too little is stored (a store's floor); beyond, no member's word would count."""
LOWEST, HIGHEST = 13 / 255, 254.5 / 255
"""A store keeps q above 12, and a threshold must let something pass."""


def grid(limits: tuple[float, float] = WIDEST) -> NDArray[np.float64]:
    """Thresholds (k + 1/2) / 255 within limits, ascending (T,); one half is among them.

    One store's q lies never on such a threshold, and between two of them there is one q: they make
    every mask that a store alone can make.

    Raises:
        HandboneError: limits without one half, which all others are judged against.
    """
    low, high = limits
    if not LOWEST <= low <= DEFAULT <= high <= HIGHEST:
        raise HandboneError(
            f"thresholds from {low:g} to {high:g}: expected a range that begins at "
            f"{LOWEST:.3f} or more, ends at {HIGHEST:.3f} or less and has {DEFAULT} in it."
        )
    values = (np.arange(255) + 0.5) / 255
    return values[(values >= low) & (values <= high)]


def middle(thresholds: NDArray[np.float64]) -> int:
    """The place of one half."""
    return int(np.flatnonzero(thresholds == DEFAULT)[0])


def best(scores: NDArray[np.float64], start: int) -> NDArray[np.intp]:
    """The place of the largest score of every row (..., T), of equal ones nearest to `start`."""
    order = np.argsort(np.abs(np.arange(scores.shape[-1]) - start), kind="stable")
    return np.asarray(order[scores[..., order].argmax(axis=-1)])


def shrink(places: NDArray[np.intp], start: int, strength: float) -> NDArray[np.intp]:
    """Places moved toward `start` by a part of the way, and to a whole place on its side."""
    return np.asarray(start + np.trunc((1 - strength) * (places - start)), np.intp)
