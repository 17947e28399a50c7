"""Sums over pixels with Gaussian weights in space and in grey value: the messages of a CRF."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

LEVELS = 256
TAIL = 4.0
"""SDs after which a Gaussian is cut off."""
CELLS = 2.0
"""Cells of the grid in an SD."""
TENT = 1 / 3
"""Variance in cells that going to the grid and back by linear interpolation adds."""


class Filter(Protocol):
    """A symmetric kernel over the pixels of one box."""

    def __call__(self, values: Floats) -> Floats:
        """(h, w) float32 -> the weighted sums (h, w), each with its own pixel."""


class SpatialFilter:
    """Gaussian weights of the distance alone, cut off at a square of `reach` px to each side."""

    def __init__(self, sd: float, reach: int | None = None) -> None:
        self._kernel = gaussian(sd, reach)

    def __call__(self, values: Floats) -> Floats:
        """(h, w) float32 -> (h, w)."""
        return _blur(values, self._kernel, self._kernel)


class WindowFilter:
    """Weights of distance and grey difference in a window, exact: two pixels at a time."""

    def __init__(self, grey: NDArray[np.uint8], sd: float, tone: float, reach: int) -> None:
        self._grey, self._space, self._reach = grey, gaussian(sd, reach), reach
        self._tone = gaussian(tone, LEVELS - 1)[LEVELS - 1 :].reshape(1, -1)

    def __call__(self, values: Floats) -> Floats:
        """(h, w) float32 -> (h, w)."""
        result = values.copy()
        height, width = values.shape
        for dy in range(min(self._reach, height - 1) + 1):
            for dx in range(-self._reach if dy else 1, self._reach + 1):
                if abs(dx) >= width:
                    continue
                here = slice(0, height - dy), slice(max(-dx, 0), width - max(dx, 0))
                there = slice(dy, height), slice(max(dx, 0), width - max(-dx, 0))
                space = self._space[self._reach + dy] * self._space[self._reach + dx]
                apart = cv2.absdiff(self._grey[here], self._grey[there])
                weights = cv2.LUT(apart, self._tone * space).reshape(apart.shape)
                cv2.accumulateProduct(weights, values[there], result[here])
                cv2.accumulateProduct(weights, values[here], result[there])
        return result


class GridFilter:
    """Weights of distance and grey difference among all pixels, by a bilateral grid.

    Paris and Durand, "A fast approximation of the bilateral filter", IJCV 2009. Grey levels are
    kept apart; in space the interpolation's own spread is taken off the blur's.
    """

    def __init__(self, grey: NDArray[np.uint8], sd: float, tone: float) -> None:
        """Find the four cells of every pixel of grey (h, w); `sd` in px, `tone` in levels."""
        side = sd / CELLS
        low, high = int(grey.min()), int(grey.max())
        y, x = (np.arange(length, dtype=np.float32) / side for length in grey.shape)
        self._shape = int(y[-1]) + 2, int(x[-1]) + 2, high - low + 1
        cells = y.astype(np.intp), x.astype(np.intp)
        parts = y - cells[0], x - cells[1]
        level = grey.astype(np.intp) - low
        self._corners = []
        for dy in (0, 1):
            for dx in (0, 1):
                row, column = cells[0][:, None] + dy, cells[1][None, :] + dx
                index = (row * self._shape[1] + column) * self._shape[2] + level
                share = np.abs(1 - dy - parts[0])[:, None] * np.abs(1 - dx - parts[1])
                self._corners.append((index.ravel(), share.ravel().astype(np.float32)))
        left = float(np.sqrt(CELLS**2 - TENT))
        self._space = gaussian(left) * np.float32(CELLS / left)  # interpolation also lowers it
        self._tone = gaussian(tone)

    def __call__(self, values: Floats) -> Floats:
        """(h, w) float32 -> (h, w)."""
        rows, columns, levels = self._shape
        flat, size = values.ravel(), rows * columns * levels
        grid = np.zeros(size, np.float64)
        for index, share in self._corners:
            grid += np.bincount(index, weights=share * flat, minlength=size)
        planes = grid.astype(np.float32).reshape(self._shape)
        for row in range(rows):
            planes[row] = _blur(planes[row], self._tone, self._space)
        across = planes.reshape(rows, columns * levels)
        blurred = _blur(across, np.ones(1, np.float32), self._space).ravel()
        result: Floats = np.zeros(flat.shape, np.float32)
        for index, share in self._corners:
            result += share * blurred[index]
        return result.reshape(values.shape)


def gaussian(sd: float, reach: int | None = None) -> Floats:
    """(2 reach + 1,) float32, 1 in the middle; to `TAIL` SDs where no reach is said."""
    reach = max(1, int(np.ceil(TAIL * sd))) if reach is None else reach
    along = np.arange(-reach, reach + 1)
    weights: Floats = np.exp(-0.5 * np.square(along / sd)).astype(np.float32)
    return weights


def _blur(values: Floats, along_x: Floats, along_y: Floats) -> Floats:
    """Separable sums; nothing lies beyond the edges."""
    return np.asarray(
        cv2.sepFilter2D(values, cv2.CV_32F, along_x, along_y, borderType=cv2.BORDER_CONSTANT),
        np.float32,
    )
