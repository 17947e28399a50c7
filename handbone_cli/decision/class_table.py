"""One bone in all images: exact hard and soft Dice of any weights and thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.decide import weighted_sum
from handbone_cli.scores import dice

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.tabulation import ImageFile

ROWS_AT_A_TIME = 2**15
"""So that the arrays of a step stay in a core's own cache."""


@dataclass(frozen=True, eq=False)
class ClassTable:
    """The distinct tuples of one class in N images, one image behind the other.

    Attributes:
        members: M arrays (n,) uint8.
        inside: (n,) pixels of each tuple that are bone.
        outside: (n,) pixels of each tuple that are not.
        starts: (N + 1,) first row of every image.
        always: (N, 2) pixels that every combination takes: bone, not bone.
        truth: (N,) bone pixels.
        sums: (N, 2, M) of q over the bone, and over all pixels.
    """

    members: list[NDArray[np.uint8]]
    inside: NDArray[np.float64]
    outside: NDArray[np.float64]
    starts: NDArray[np.int64]
    always: NDArray[np.int64]
    truth: NDArray[np.int64]
    sums: NDArray[np.int64]

    @classmethod
    def load(cls, files: Sequence[ImageFile], index: int) -> ClassTable:
        """Read one class of all images."""
        rows = np.concatenate([file.rows(index) for file in files])
        constants = np.array([file.constants[index] for file in files])
        lengths = [file.starts[index + 1] - file.starts[index] for file in files]
        return cls(
            [np.ascontiguousarray(column) for column in rows["q"].T],
            # What bincount adds up; counts of pixels are exact in it.
            rows["inside"].astype(np.float64),
            rows["outside"].astype(np.float64),
            np.cumsum([0, *lengths], dtype=np.int64),
            constants[:, :2],
            constants[:, 2],
            constants[:, 3:].reshape(len(files), 2, -1),
        )

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.inside) * (16 + len(self.members))

    def dice(
        self, weights: NDArray[np.float64], thresholds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Hard Dice (N, T) of one set of weights (M,) at T ascending thresholds."""
        images, count = len(self.truth), len(thresholds)
        cuts = 255 * thresholds
        taken = np.zeros((2, images, count + 1))
        for part, first, last in self._parts():
            total = weighted_sum([member[part] for member in self.members], weights)
            # How many of the thresholds a tuple is above, counted apart for every image.
            lengths = np.diff(self.starts[first : last + 1])
            bins = _count_below(cuts, total)
            bins += np.repeat(np.arange(last - first) * (count + 1), lengths)
            cells = (last - first) * (count + 1)
            for side, pixels in enumerate((self.inside, self.outside)):
                found = np.bincount(bins, pixels[part], cells)
                taken[side, first:last] += found.reshape(-1, count + 1)
        above = taken[:, :, :0:-1].cumsum(axis=2)[:, :, ::-1]
        hits = self.always[:, :1] + above[0]
        wrong = self.always[:, 1:] + above[1]
        return dice(hits, hits + wrong, np.broadcast_to(self.truth[:, None], hits.shape))

    def soft_dice(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Soft Dice 2 sum(p g) / (sum p + sum g) of one set of weights (M,): (N,)."""
        shared, total = np.moveaxis(self.sums @ weights / 255, 1, 0)
        both = total + self.truth
        return np.where(both == 0, 1.0, 2 * shared / np.maximum(both, 1e-9))

    def _parts(self) -> Iterator[tuple[slice, int, int]]:
        """Rows of some images at a time, with the first of these and the one behind the last."""
        first, images = 0, len(self.truth)
        while first < images:
            limit = self.starts[first] + ROWS_AT_A_TIME
            last = max(first + 1, int(np.searchsorted(self.starts, limit, "right")) - 1)
            yield slice(int(self.starts[first]), int(self.starts[last])), first, last
            first = last


def _count_below(cuts: NDArray[np.float64], total: NDArray[np.float64]) -> NDArray[np.intp]:
    """How many of the ascending cuts every total is above, strictly."""
    if len(cuts) == 1:
        return np.asarray(total > cuts[0], np.intp)
    # The cuts are one apart but for rounding: a guess, put right by the cuts themselves.
    guess = np.clip(np.rint(total - cuts[0]).astype(np.intp), 0, len(cuts) - 1)
    return np.asarray(guess + (total > cuts[guess]))
