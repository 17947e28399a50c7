"""Segmentations as COCO writes them: polygons and run lengths, plain or as text, to masks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli import PackedMask

SCALE = 5
"""Steps a pixel at which COCO walks along a polygon."""


@dataclass(frozen=True)
class Segmentation:
    """What one annotation covers.

    Attributes:
        size: (h, w) that run lengths say they are of; None for polygons.
        counts: lengths of runs down the columns, off first, of the whole image; or
        polygons: (n, 2) x, y in continuous coordinates, the first pixel from 0 to 1.
    """

    size: tuple[int, int] | None
    counts: NDArray[np.int64]
    polygons: tuple[NDArray[np.float64], ...] = ()

    @classmethod
    def parse(cls, value: Any) -> Segmentation:
        """The value of `segmentation`.

        Raises:
            ValueError: half a sentence that says what is wrong.
        """
        if isinstance(value, list):
            return cls(None, np.zeros(0, np.int64), tuple(map(_polygon, value)))
        try:
            (height, width), counts = map(int, value["size"]), value["counts"]
        except (KeyError, TypeError, ValueError):
            raise ValueError(
                'its segmentation is neither polygons nor {"size": [h, w], "counts": ...}'
            ) from None
        runs = decode_counts(counts) if isinstance(counts, str) else _whole_numbers(counts)
        if (runs < 0).any() or runs.sum() != height * width:
            raise ValueError(
                f"its run lengths do not add up to an image of {width} x {height} pixels"
            )
        return cls((height, width), runs)

    def fill(self, mask: PackedMask, index: int) -> None:
        """Switch a class on where this covers the image; in place."""
        if self.size is not None:
            _fill_toggles(mask, index, np.cumsum(self.counts)[:-1])
        for polygon in self.polygons:
            _fill_toggles(mask, index, polygon_toggles(polygon, mask.size))


def decode_counts(text: str) -> NDArray[np.int64]:
    """Lengths of runs from COCO's text of them (maskApi.c, rleFrString).

    A character holds five bits and whether more follow, the least first, the sign in the last;
    from the third on a length is told by its difference to the one before the last.

    Raises:
        ValueError: half a sentence that says what is wrong.
    """
    codes = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - 48
    if not len(codes):
        return np.zeros(0, np.int64)
    if (codes < 0).any() or (codes > 63).any() or codes[-1] & 32:
        raise ValueError("its run lengths are damaged")
    ends = np.flatnonzero((codes & 32) == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 8:
        raise ValueError("its run lengths are damaged")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    numbers = np.add.reduceat((codes & 31) << shifts, starts)
    numbers -= np.where(codes[ends] & 16, 1, 0) << (5 * lengths)
    for parity in (1, 2):  # counts 1, 3, 5 ... and 2, 4, 6 ... each add up; the first stands alone
        numbers[parity::2] = np.cumsum(numbers[parity::2])
    return numbers


def polygon_toggles(polygon: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.int64]:
    """Where the inside of a polygon begins and ends down the columns of an image.

    Pixel for pixel what COCO's own tools fill (maskApi.c, rleFrPoly, Dollar and Lin, 2014): the
    outline is walked in fifths of pixels; where it crosses the middle of a column, all that is
    below changes sides.

    Args:
        polygon: (n, 2) x, y.
        size: (h, w).

    Returns:
        places in the image flattened down its columns, ascending; a place twice cancels out.
    """
    height, width = size
    corners = np.trunc(SCALE * polygon + 0.5).astype(np.int64)
    x, y = _walk(corners)
    turn = np.flatnonzero(x[1:] != x[:-1]) + 1
    column = (np.minimum(x[turn], x[turn - 1]) + 0.5) / SCALE - 0.5
    row = np.ceil(np.clip((np.minimum(y[turn], y[turn - 1]) + 0.5) / SCALE - 0.5, 0, height))
    inside = (column == np.floor(column)) & (column >= 0) & (column <= width - 1)
    places = column[inside].astype(np.int64) * height + row[inside].astype(np.int64)
    return np.sort(places)


def _walk(corners: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """All points along a closed outline, x and y; an edge's steps along its longer side.

    An edge is rounded as if walked towards the larger coordinate, so that it does not matter on
    which side of it a polygon lies.
    """
    first, last = corners, np.roll(corners, -1, axis=0)
    extent = np.abs(last - first)
    steps = extent.max(axis=1)
    edge = np.repeat(np.arange(len(corners)), steps + 1)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(steps + 1) - steps - 1, steps + 1)
    wide = extent[:, 0] >= extent[:, 1]
    flip = np.where(wide, first[:, 0] > last[:, 0], first[:, 1] > last[:, 1])
    low = np.where(flip[:, None], last, first)[edge]
    high = np.where(flip[:, None], first, last)[edge]
    step = np.where(flip[edge], steps[edge] - step, step)
    share = (high - low) / np.maximum(steps, 1)[edge, None]
    points = np.trunc(low + share * step[:, None] + 0.5).astype(np.int64)
    points[wide[edge], 0] = (low[:, 0] + step)[wide[edge]]
    points[~wide[edge], 1] = (low[:, 1] + step)[~wide[edge]]
    return points[:, 0], points[:, 1]


def _fill_toggles(mask: PackedMask, index: int, toggles: NDArray[np.int64]) -> None:
    """Switch a class on between every two places of the image flattened down its columns."""
    height, width = mask.size
    if not len(toggles):
        return
    left = int(toggles[0]) // height
    right = width if len(toggles) % 2 else min(int(toggles[-1] - 1) // height + 1, width)
    if right <= left:
        return
    marks = np.zeros((right - left) * height + 1, np.uint8)
    np.add.at(marks, toggles[toggles <= right * height] - left * height, 1)
    columns = (np.cumsum(marks[:-1], dtype=np.uint8) & 1).reshape(right - left, height)
    rows = np.flatnonzero(columns.any(axis=0))
    if len(rows):
        top, bottom = int(rows[0]), int(rows[-1]) + 1
        crop = np.ascontiguousarray(columns[:, top:bottom].T)
        mask.add(index, (top, bottom, left, right), crop)


def _polygon(values: Any) -> NDArray[np.float64]:
    try:
        points = np.asarray(values, np.float64).reshape(-1, 2)
    except (TypeError, ValueError):
        points = np.full((1, 2), np.inf)
    if not len(points) or not np.isfinite(points).all() or np.abs(points).max() > 2**20:
        raise ValueError("a polygon of it is no list of numbers x, y, x, y ...")
    return points


def _whole_numbers(values: Any) -> NDArray[np.int64]:
    try:
        return np.asarray(values, np.int64).reshape(-1)
    except (TypeError, ValueError, OverflowError):
        raise ValueError("its run lengths are no whole numbers") from None
