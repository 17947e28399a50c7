"""One bone in all images: exact hard and soft Dice of any weights and thresholds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.scores import dice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.tabulation import ImageFile

ROWS_AT_A_TIME = 2**15
"""So that the arrays of a step stay in a core's own cache."""
VALUES = 256
"""A sum of q lies above none to 255 of the thresholds (k + 1/2) / 255."""
PACK = 2.0**26
"""Two counts of pixels in one float64, exact up to images of 8192 px."""


@dataclass(frozen=True, eq=False)
class ClassTable:
    """The distinct tuples of one class in N images, one image behind the other.

    Attributes:
        members: M arrays (n,) uint8.
        pixels: (n,) of each tuple: those that are bone + PACK * those that are not.
        starts: (N + 1,) first row of every image.
        always: (N, 2) pixels that every combination takes: bone, not bone.
        truth: (N,) bone pixels.
        sums: (N, 2, M) of q over the bone, and over all pixels.
        cells: (n,) VALUES times the image that a row is of.
    """

    members: list[NDArray[np.uint8]]
    pixels: NDArray[np.float64]
    starts: NDArray[np.int64]
    always: NDArray[np.int64]
    truth: NDArray[np.int64]
    sums: NDArray[np.int64]
    cells: NDArray[np.int32]

    @classmethod
    def load(cls, files: Sequence[ImageFile], index: int) -> ClassTable:
        """Read one class of all images."""
        rows = np.concatenate([file.rows(index) for file in files])
        constants = np.array([file.constants[index] for file in files])
        lengths = [int(file.starts[index + 1] - file.starts[index]) for file in files]
        firsts = np.arange(len(files), dtype=np.int32) * np.int32(VALUES)
        return cls(
            [np.ascontiguousarray(column) for column in rows["q"].T],
            rows["inside"] + PACK * rows["outside"],
            np.cumsum([0, *lengths], dtype=np.int64),
            constants[:, :2],
            constants[:, 2],
            constants[:, 3:].reshape(len(files), 2, -1),
            np.repeat(firsts, lengths),
        )

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.pixels) * (12 + len(self.members))

    def dice(
        self, weights: NDArray[np.float64], thresholds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Hard Dice (N, T) of one set of weights (M,) at T thresholds of `thresholds.grid`.

        Raises:
            ValueError: a threshold that is not half-way between two stored values.
        """
        places = np.rint(255 * thresholds - 0.5).astype(np.intp)
        if (255 * thresholds != places + 0.5).any():
            raise ValueError(f"thresholds {thresholds} are not of the grid")
        images = len(self.truth)
        found = np.bincount(self._bins(weights), self.pixels, images * VALUES)
        # At threshold k those are taken that lie above more than k thresholds.
        above = found.reshape(images, VALUES)[:, :0:-1].cumsum(axis=1)[:, ::-1][:, places]
        outside = np.floor(above / PACK)
        hits = self.always[:, :1] + above - PACK * outside
        wrong = self.always[:, 1:] + outside
        return dice(hits, hits + wrong, np.broadcast_to(self.truth[:, None], hits.shape))

    def soft_dice(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Soft Dice 2 sum(p g) / (sum p + sum g) of one set of weights (M,): (N,)."""
        shared, total = np.moveaxis(self.sums @ weights / 255, 1, 0)
        both = total + self.truth
        return np.where(both == 0, 1.0, 2 * shared / np.maximum(both, 1e-9))

    def counts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Pixels of each tuple inside and outside the bone: (n,) each."""
        outside = np.floor(self.pixels / PACK)
        return self.pixels - PACK * outside, outside

    def _bins(self, weights: NDArray[np.float64]) -> NDArray[np.intp]:
        """Of every row, how many thresholds its sum of q is above, in its image's cells.

        The sum is `decide.weighted_sum` to the last bit (a weight of 0 adds nothing), without its
        fresh arrays: allocating them took longer than adding. 255 (k + 1/2) / 255 is k + 1/2 to the
        last bit for every k, so that ceil(sum - 1/2) counts the thresholds below it, strictly.
        """
        rows = len(self.pixels)
        bins = np.empty(rows, np.intp)
        width = min(rows, ROWS_AT_A_TIME)
        buffers = np.empty((2, width))
        counted = np.empty(width, np.uint8)
        used = [(m, w) for m, w in zip(self.members, weights, strict=True) if w != 0]
        for start in range(0, rows, ROWS_AT_A_TIME):
            part = slice(start, min(start + ROWS_AT_A_TIME, rows))
            length = part.stop - start
            total, term, above = buffers[0, :length], buffers[1, :length], counted[:length]
            np.multiply(used[0][0][part], used[0][1], out=total, dtype=np.float64)
            for member, weight in used[1:]:
                np.multiply(member[part], weight, out=term, dtype=np.float64)
                np.add(total, term, out=total)
            np.subtract(total, 0.5, out=total)
            np.ceil(total, out=total)
            np.copyto(above, total, casting="unsafe")
            np.add(above, self.cells[part], out=bins[part])
        return bins
