"""Sufficient statistics of an ensemble: distinct tuples of probabilities with their counts.

For one image and bone, every pixel is a tuple (q1 ... qM, truth). A convex combination lies
between the least and the greatest of its members, so a pixel whose members are all above, or none
above, the thresholds in question is decided alike by all weights: it is only counted. The rest is
kept as distinct tuples. Hard Dice of any weights and any threshold in the range follows exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.decide import weighted_sum
from handbone_cli.masks import EMPTY, union_box
from handbone_cli.scores import dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import Box, PackedMask
    from handbone_cli.store.boxes import BoxedProbabilities

WORD = 8
"""Bytes of the numbers that tuples are packed into to be sorted."""
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
        sums: (2, M) of q over the bone, and over all pixels: what soft Dice is made of.
    """

    members: list[NDArray[np.uint8]]
    inside: NDArray[np.int64]
    outside: NDArray[np.int64]
    always: tuple[int, int]
    truth: int
    thresholds: tuple[float, float]
    sums: NDArray[np.int64] = field(default_factory=lambda: np.zeros((2, 0), np.int64))

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
    label_box: Box | None = None,
) -> BoneTable:
    """Count the tuples of one bone in one image, of any number of members.

    Args:
        members: M models' probabilities of the image.
        truth: its labels.
        index: the class.
        thresholds: (lowest, highest) that the table must be exact for.
        label_box: of the class in the truth, where it is known.
    """
    label_box = truth.boxes()[index] if label_box is None else label_box
    box = union_box([label_box, *(member.box(index) for member in members)])
    if box == EMPTY:
        none, sums = np.zeros(0, np.int64), np.zeros((2, len(members)), np.int64)
        rows = [np.zeros(0, np.uint8)] * len(members)
        return BoneTable(rows, none, none, (0, 0), 0, thresholds, sums)
    is_bone = truth.crop(index, box)
    crops = np.stack([member.crop(index, box) for member in members])
    # Whole numbers are compared as such: as float64 they take twice as long.
    low = _first_above(255 * thresholds[0] - ROUNDING)
    high = _first_above(255 * thresholds[1] + ROUNDING)
    above = crops.min(axis=0) >= high
    is_open = (crops.max(axis=0) >= low) & ~above
    places = np.flatnonzero(is_open)
    flat = crops.reshape(len(members), -1)
    tuples, inside, outside = _distinct(flat[:, places], is_bone.ravel()[places])
    always = int(np.count_nonzero(above & is_bone)), int(np.count_nonzero(above & ~is_bone))
    total = int(np.count_nonzero(is_bone))
    both = np.stack([flat * is_bone.ravel(), flat])
    sums = both.sum(axis=2, dtype=np.int64)
    return BoneTable(tuples, inside, outside, always, total, thresholds, sums)


def _first_above(cut: float) -> NDArray[np.uint16]:
    """The smallest whole number above a cut."""
    return np.array(max(int(np.floor(cut)) + 1, 0), np.uint16)


def _distinct(
    values: NDArray[np.uint8], is_bone: NDArray[np.bool_]
) -> tuple[list[NDArray[np.uint8]], NDArray[np.int64], NDArray[np.int64]]:
    """Distinct columns of (M, n) with their counts inside and outside the truth.

    A column and its truth are packed into as many words as they take, which are sorted: equal ones
    then stand together, and the truth, in the lowest byte, parts a tuple's run in two at most.
    """
    count, pixels = values.shape
    if pixels == 0:
        none = np.zeros(0, np.int64)
        return list(values), none, none
    packed = np.zeros((pixels, -(-(count + 1) // WORD) * WORD), np.uint8)
    packed[:, 0] = is_bone
    packed[:, 1 : count + 1] = values.T
    words = _sorted_rows(packed.view("<u8"))
    starts = _run_starts(words)
    runs, lengths = words[starts], np.diff(starts, append=pixels)
    in_bone = (runs[:, 0] & np.uint64(255)).astype(np.int64)
    runs[:, 0] &= ~np.uint64(255)
    firsts = _run_starts(runs)
    inside = np.add.reduceat(lengths * in_bone, firsts)
    tuples = runs[firsts].view(np.uint8)[:, 1 : count + 1]
    rows = [np.ascontiguousarray(column) for column in tuples.T]
    return rows, inside, np.add.reduceat(lengths, firsts) - inside


def _sorted_rows(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    if words.shape[1] == 1:
        return np.sort(words, axis=0)
    return np.asarray(words[np.lexsort(words.T)])


def _run_starts(rows: NDArray[np.uint64]) -> NDArray[np.intp]:
    """Where a row differs from the one before it."""
    changes = (rows[1:] != rows[:-1]).any(axis=1)
    return np.concatenate([np.zeros(1, np.intp), np.flatnonzero(changes) + 1])
