"""Sums over a dataset's images as they pass by: pairs, grey values, mean outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.data.measurements.image import GRID, SHIFT
from handbone_cli.dataset_figures import GREY_KINDS, GreyFigures, OverlapFigures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.data.measurements.image import Measurement

FINER = 3
"""A mean outline is traced on a grid so many times finer."""

SMOOTH = 1.2
"""SD in cells of the blur before, since the outlines of few hands leave steps."""


class Totals:
    """What has been added up so far; its size does not depend on the number of images."""

    def __init__(self, classes: int) -> None:
        self._together = np.zeros((classes, classes), np.int64)
        self._sharing = np.zeros((classes, classes), np.int64)
        self._iou = np.zeros((classes, classes))
        self._grey = np.zeros((len(GREY_KINDS), 256))
        self._grey_images = np.zeros(len(GREY_KINDS), np.int64)
        # Straight and bent wrists apart: their mean would be the outline of neither.
        self._covered = np.zeros((2, classes, 2 * GRID + 1, 2 * GRID + 1), np.uint16)
        self._outlines = np.zeros((2, classes), np.int64)

    def add(self, measured: Measurement) -> None:
        """Add one image."""
        if measured.figures is None or measured.figures.areas is None or measured.grey is None:
            return
        there = measured.figures.areas > 0
        self._together += np.outer(there, there)
        for (a, b), iou in measured.overlaps.items():
            self._sharing[a, b] += 1
            self._iou[a, b] += iou
        pixels = measured.grey.sum(axis=1, keepdims=True)
        self._grey += measured.grey / np.maximum(pixels, 1)
        self._grey_images += pixels[:, 0] > 0
        for index, outline in measured.outlines.items():
            self._cover((int(measured.figures.bent), index), outline)

    def _cover(self, place: tuple[int, int], outline: NDArray[np.int16]) -> None:
        """Count the cells that an outline covers."""
        points = outline.astype(np.int32) + (GRID << SHIFT)
        low = np.maximum((points.min(axis=0) >> SHIFT) - 1, 0)
        high = np.minimum((points.max(axis=0) >> SHIFT) + 2, 2 * GRID + 1)
        canvas = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
        cv2.fillPoly(canvas, [points - (low << SHIFT)], (1,), shift=SHIFT)
        self._covered[place][low[1] : high[1], low[0] : high[0]] += canvas
        self._outlines[place] += 1

    def overlaps(self) -> OverlapFigures:
        """The figures of all pairs."""
        sharing, iou = self._sharing + self._sharing.T, self._iou + self._iou.T
        seen = np.where(self._together, self._together, 1)
        mean = np.where(self._together > 0, iou / seen, np.nan)
        np.fill_diagonal(sharing, np.diag(self._together))
        np.fill_diagonal(mean, np.where(np.diag(self._together) > 0, 1.0, np.nan))
        return OverlapFigures(self._together, sharing, mean)

    def grey(self) -> GreyFigures:
        """The mean histograms."""
        return GreyFigures(
            self._grey / np.maximum(self._grey_images, 1)[:, None], self._grey_images
        )

    def outlines(self) -> dict[int, NDArray[np.float64]]:
        """For every class the border of what at least half of its outlines cover: (n, 2).

        Of straight wrists, where there are any.
        """
        found = {}
        pose = 0 if self._outlines[0].any() else 1
        for index in np.flatnonzero(self._outlines[pose]):
            share = self._covered[pose, index].astype(np.float32) / self._outlines[pose, index]
            outline = _half_covered(share)
            if outline is not None:
                found[int(index)] = outline
        return found


def _half_covered(share: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """The largest part where a (2 GRID + 1)^2 map is at least half, around its middle cell."""
    rows, columns = np.flatnonzero(share.any(axis=1)), np.flatnonzero(share.any(axis=0))
    top, left = max(rows[0] - 4, 0), max(columns[0] - 4, 0)
    part = share[top : rows[-1] + 5, left : columns[-1] + 5]
    blurred = cv2.GaussianBlur(part, (0, 0), SMOOTH, borderType=cv2.BORDER_CONSTANT)
    finer = cv2.resize(blurred, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_CUBIC)
    half = np.asarray(finer >= 0.5, np.uint8)
    contours, _ = cv2.findContours(half, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=len)
    smooth = cv2.approxPolyDP(largest, 0.6, closed=True).reshape(-1, 2)
    cells = (smooth + 0.5) / FINER - 0.5 + np.array([left, top])
    return np.asarray((cells - GRID) / GRID, np.float64)
