"""Sufficient statistics of an ensemble: distinct tuples of probabilities with their counts.

For one image and bone, every pixel is a tuple (q1 ... qM, truth). A convex combination lies
between the least and the greatest of its members, so a pixel whose members are all above, or none
above, the thresholds in question is decided alike by all weights: it is only counted. The rest is
kept as distinct tuples. Hard Dice of any weights and any threshold in the range follows exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.decide import weighted_sum
from handbone_cli.errors import HandboneError
from handbone_cli.masks import EMPTY, union_box
from handbone_cli.scores import dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask
    from handbone_cli.store.boxes import BoxedProbabilities

MOST_MEMBERS = 8
"""Tuples are packed into 64 bits."""
ROUNDING = 1e-6
"""A weighted sum of equal q may round to either side of q: a q this near 255 t is left open."""


@dataclass(frozen=True, eq=False)
class BoneTable:
    """One image and bone.

    Attributes:
        members: M arrays (n,) uint8, the distinct tuples whose decision is open.
        inside: (n,) pixels of each tuple that are bone.
        outside: (n,) pixels of each tuple that are not.
        always: (2,) pixels every combination takes: bone, not bone.
        truth: bone pixels in all.
        thresholds: (lowest, highest) threshold that the table is exact for.
    """

    members: list[NDArray[np.uint8]]
    inside: NDArray[np.int64]
    outside: NDArray[np.int64]
    always: tuple[int, int]
    truth: int
    thresholds: tuple[float, float]

    def dice(self, weights: NDArray[np.float64], threshold: float) -> NDArray[np.float64]:
        """Hard Dice (K,) of K sets of weights (K, M) at a threshold in the table's range."""
        low, high = self.thresholds
        if not low <= threshold <= high:
            raise ValueError(f"threshold {threshold} outside the table's range {self.thresholds}")
        taken = weighted_sum(self.members, weights) > 255 * threshold
        hits = self.always[0] + self.inside @ taken
        wrong = self.always[1] + self.outside @ taken
        return dice(hits, hits + wrong, np.full(len(weights), self.truth))


def tabulate(
    members: Sequence[BoxedProbabilities],
    truth: PackedMask,
    index: int,
    thresholds: tuple[float, float] = (0.5, 0.5),
) -> BoneTable:
    """Count the tuples of one bone in one image.

    Raises:
        HandboneError: more than eight members.
    """
    if len(members) > MOST_MEMBERS:
        raise HandboneError(
            f"an ensemble of {len(members)} stores; at most {MOST_MEMBERS} for now."
        )
    label_box = truth.boxes()[index]
    box = union_box([label_box, *(member.box(index) for member in members)])
    if box == EMPTY:
        none = np.zeros(0, np.int64)
        return BoneTable([np.zeros(0, np.uint8)] * len(members), none, none, (0, 0), 0, thresholds)
    is_bone = truth.crop(index, box)
    crops = np.stack([member.crop(index, box) for member in members])
    above = crops.min(axis=0) > 255 * thresholds[1] + ROUNDING
    is_open = (crops.max(axis=0) > 255 * thresholds[0] - ROUNDING) & ~above
    tuples, inside, outside = _distinct(crops[:, is_open], is_bone[is_open])
    always = int(np.count_nonzero(above & is_bone)), int(np.count_nonzero(above & ~is_bone))
    total = int(np.count_nonzero(is_bone))
    return BoneTable(tuples, inside, outside, always, total, thresholds)


def _distinct(
    values: NDArray[np.uint8], is_bone: NDArray[np.bool_]
) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct columns of (M, n) with their counts inside and outside the truth."""
    code = np.zeros(values.shape[1], np.uint64)
    for place, row in enumerate(values):
        code |= row.astype(np.uint64) << np.uint64(8 * place)
    distinct, which = np.unique(code, return_inverse=True)
    inside = np.bincount(which, weights=is_bone, minlength=len(distinct)).astype(np.int64)
    total = np.bincount(which, minlength=len(distinct)).astype(np.int64)
    tuples = [
        ((distinct >> np.uint64(8 * place)) & np.uint64(255)).astype(np.uint8)
        for place in range(len(values))
    ]
    return tuples, inside, total - inside
