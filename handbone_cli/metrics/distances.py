"""Distances between the borders of two masks, exact at every place of either."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.metrics.borders import Border, Spacing

FAR = 2**20
"""Rows; farther than any."""


@dataclass(frozen=True, eq=False)
class BorderDistances:
    """From every place of the borders of two masks to the other border, neither of them empty.

    Attributes:
        ways: the prediction's n places to the truth, the truth's m places to the prediction.
        lengths: how much border every place stands for, (n,) and (m,); None: all alike.
    """

    ways: tuple[NDArray[np.float64], NDArray[np.float64]]
    lengths: tuple[NDArray[np.float64], NDArray[np.float64]] | None

    def hausdorff(self, percent: float = 100.0) -> float:
        """The larger of both ways' percentiles.

        Of pixels with linear interpolation, as in MONAI; of contours the least distance that so
        much of the length keeps, as in surface-distance.
        """
        if self.lengths is None:
            return max(_percentile(way, percent) for way in self.ways)
        pairs = zip(self.ways, self.lengths, strict=True)
        return max(_percentile_of_length(way, lengths, percent) for way, lengths in pairs)

    def mean(self) -> float:
        """The average symmetric surface distance: over both borders in one."""
        weights = None if self.lengths is None else np.concatenate(self.lengths)
        return float(np.average(np.concatenate(self.ways), weights=weights))

    def within(self, tolerance: float) -> float:
        """The normalised surface Dice: how much of both borders is up to `tolerance` away.

        Compared in single precision, as MONAI does, so that three pixels of 0.1 mm are 0.3 mm.
        """
        limit = np.float32(tolerance)
        near = np.concatenate([way.astype(np.float32) <= limit for way in self.ways])
        weights = None if self.lengths is None else np.concatenate(self.lengths)
        return float(np.average(near, weights=weights))


def border_distances(predicted: Border, truth: Border, spacing: Spacing) -> BorderDistances:
    """The distances between two borders on arrays of one size; there is some of both.

    Args:
        predicted: border of the prediction.
        truth: border of the truth.
        spacing: from a row to the next, from a column to the next.
    """
    p, t = predicted.places, truth.places
    lengths = None
    if predicted.lengths is not None and truth.lengths is not None:
        lengths = predicted.lengths, truth.lengths
    return BorderDistances((_nearest(p, t, spacing), _nearest(t, p, spacing)), lengths)


def _nearest(
    places: NDArray[np.bool_], border: NDArray[np.bool_], spacing: Spacing
) -> NDArray[np.float64]:
    """The distance of every place to the border, row by row (n,).

    First along columns, for all pixels; then every place looks left and right until no column can
    be nearer. In whole numbers of pixels, so nothing is rounded before the root. A distance
    transform would do for whole pixels, but OpenCV's is of single precision.
    """
    rows, columns = np.nonzero(places)
    along = _along_columns(border)
    down, across = spacing
    found = (along[rows, columns] * down) ** 2
    searching = np.arange(len(rows))
    last = along.shape[1] - 1
    for step in range(1, last + 1):
        aside = (step * across) ** 2
        searching = searching[found[searching] > aside]
        if not len(searching):
            break
        row, column = rows[searching], columns[searching]
        # Past the end of a row its last column is looked at again, too far away to matter.
        near = np.minimum(
            along[row, np.minimum(column + step, last)], along[row, np.maximum(column - step, 0)]
        )
        found[searching] = np.minimum(found[searching], (near * down) ** 2 + aside)
    return np.asarray(np.sqrt(found))


def _along_columns(border: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Rows from every pixel to the nearest border pixel of its column, `FAR` or more if none."""
    row = np.arange(len(border), dtype=np.int32)[:, None]
    above = np.maximum.accumulate(np.where(border, row, np.int32(-FAR)), axis=0)
    below = np.minimum.accumulate(np.where(border, row, np.int32(2 * FAR))[::-1], axis=0)[::-1]
    return np.minimum(row - above, below - row)


def _percentile(way: NDArray[np.float64], percent: float) -> float:
    """Interpolated; the share in single precision, which is how torch.quantile has it in MONAI."""
    rank = float(np.float32(percent / 100)) * (len(way) - 1)
    below = int(rank)
    ordered = np.sort(way)
    low, high = float(ordered[below]), float(ordered[min(below + 1, len(way) - 1)])
    return low + (high - low) * (rank - below)


def _percentile_of_length(
    way: NDArray[np.float64], lengths: NDArray[np.float64], percent: float
) -> float:
    order = np.lexsort((lengths, way))
    share = np.cumsum(lengths[order]) / lengths.sum()
    place = int(np.searchsorted(share, percent / 100))
    return float(way[order[min(place, len(order) - 1)]])
