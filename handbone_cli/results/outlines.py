"""Outlines of masks, as label files have them, that fill back to the mask pixel for pixel."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.masks import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask

FEWEST = 3
"""Points of an outline; what has fewer border pixels repeats its last."""


def exact_outlines(mask: PackedMask, index: int) -> list[NDArray[np.int32]]:
    """Outlines of one class, (n, 2) x, y in pixel indices; [] if it is nowhere.

    The union of these, each filled with its border as `PackedMask.from_polygons` does, is the
    class. A part with a hole is cut along rows, so that no piece has one: readers that know no
    holes are right, too.
    """
    box = mask.boxes()[index]
    if box == EMPTY:
        return []
    crop = np.ascontiguousarray(mask.crop(index, box), np.uint8)
    corner = np.array((box[2], box[0]), np.int32)
    return [outline + corner for outline in _strips(crop)]


def _strips(crop: NDArray[np.uint8]) -> Iterator[NDArray[np.int32]]:
    edges = [0, *_cuts(crop), crop.shape[0]]
    for top, bottom in itertools.pairwise(edges):
        found, _ = cv2.findContours(
            crop[top:bottom], cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(0, top)
        )
        for contour in reversed(found):  # from the top, as people read
            points = np.asarray(contour, np.int32).reshape(-1, 2)
            missing = max(FEWEST - len(points), 0)
            yield np.concatenate([points, np.repeat(points[-1:], missing, axis=0)])


def _cuts(crop: NDArray[np.uint8]) -> list[int]:
    """The fewest rows to cut above, so that every hole is open to a cut."""
    inverse = np.pad(1 - crop, 1, constant_values=1)
    count, _, boxes, _ = cv2.connectedComponentsWithStats(inverse, connectivity=4)
    holes = []
    for x, y, width, height, _area in boxes[1:count].tolist():
        if not (x == 0 and y == 0 and (height, width) == inverse.shape):  # else it is outside
            holes.append((y + height - 2, y - 1))
    cuts: list[int] = []
    for last, first in sorted(holes):
        if not cuts or first > cuts[-1]:
            cuts.append(last)
    return cuts
