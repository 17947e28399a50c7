"""STAPLE: the truth behind several masks, and how good each is, estimated together.

Warfield, Zou and Wells, IEEE Transactions on Medical Imaging 23 (2004), 903-921: expectation
maximization over a hidden binary truth, with a sensitivity and a specificity for every rater.
Pixels with the same decisions have the same probability, so it runs on counts of distinct
decisions: 2^M at most, however large the box.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.vote import Ballot

MOST_RATERS = 16
START = 0.99999
"""Sensitivity and specificity at first, as in the paper: near 1, so that nobody starts inverted."""
TINY = 1e-10
"""Rates stay this far from 0 and 1: at 1 a single pixel would be beyond all doubt."""
SETTLED = 1e-9
MOST_STEPS = 2000


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is believed of K distinct decisions and of M raters.

    Attributes:
        probability: (K,) of the truth given each.
        sensitivity: (M,) share of the true pixels that a rater has.
        specificity: (M,) share of the other pixels, inside the box, that a rater leaves out.
    """

    probability: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    specificity: NDArray[np.float64]


def estimate(decisions: NDArray[np.bool_], counts: NDArray[np.int64]) -> Estimate:
    """Estimate truth and raters.

    Args:
        decisions: (K, M) distinct decisions of M raters, not all of them unanimous.
        counts: (K,) pixels with each. The prior of the truth is the mean of all decisions.
    """
    yes, weight = decisions.astype(np.float64), counts.astype(np.float64)
    prior = float(weight @ yes.mean(axis=1) / weight.sum())
    sensitivity = specificity = np.full(decisions.shape[1], START)
    for _ in range(MOST_STEPS):
        true = prior * np.where(decisions, sensitivity, 1 - sensitivity).prod(axis=1)
        false = (1 - prior) * np.where(decisions, 1 - specificity, specificity).prod(axis=1)
        probability = true / (true + false)
        before = np.concatenate([sensitivity, specificity])
        sensitivity = _rate(weight * probability, yes)
        specificity = _rate(weight * (1 - probability), 1 - yes)
        if np.abs(np.concatenate([sensitivity, specificity]) - before).max() < SETTLED:
            break
    return Estimate(probability, sensitivity, specificity)


def _rate(weight: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The weighted share of right decisions (M,)."""
    rate: NDArray[np.float64] = weight @ right / max(float(weight.sum()), TINY)
    return rate.clip(TINY, 1 - TINY)


class Staple:
    """A rule of voting: bone is where the truth's probability is above the class's share.

    Every image and bone is estimated by itself, in the box around all raters' masks. Votes do not
    count beyond whether a member has any.

    Args:
        ballot: the members and shares.
    """

    def __init__(self, ballot: Ballot) -> None:
        members = ballot.votes.shape[1]
        if members > MOST_RATERS:
            raise HandboneError(f"STAPLE of {members} members; at most {MOST_RATERS}.")
        self._shares = [float(share) for share in ballot.shares]
        self._sums = np.zeros((2, members))
        self._estimates = np.zeros(members, np.int64)

    def __call__(
        self, index: int, members: Sequence[int], crops: Sequence[NDArray[np.bool_]]
    ) -> NDArray[np.bool_]:
        """Estimate one bone of one image."""
        code = np.zeros(crops[0].shape, np.uint16)
        for place, crop in enumerate(crops):
            code |= crop.astype(np.uint16) << np.uint16(place)
        counts = np.bincount(code.ravel(), minlength=1 << len(crops))
        met = np.flatnonzero(counts)
        decisions = (met[:, None] >> np.arange(len(crops)) & 1).astype(bool)
        if (decisions.all(axis=1) | ~decisions.any(axis=1)).all():
            return crops[0]
        found = estimate(decisions, counts[met])
        self._sums[:, members] += found.sensitivity, found.specificity
        self._estimates[members] += 1
        taken = np.zeros(len(counts), bool)
        taken[met] = found.probability > self._shares[index]
        elected: NDArray[np.bool_] = taken[code]
        return elected

    @property
    def raters(self) -> list[tuple[float, float]]:
        """Mean sensitivity and specificity of every member, over the bones where they differed."""
        means = self._sums / np.maximum(self._estimates, 1)
        return [
            (float(p), float(q)) if count else (float("nan"), float("nan"))
            for p, q, count in zip(*means, self._estimates, strict=True)
        ]
