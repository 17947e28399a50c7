"""Where the border of a mask runs: its edge pixels, or the elements of its contour."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Spacing: TypeAlias = "tuple[float, float]"
"""From a row to the next, from a column to the next; 1, 1 where distances are in pixels."""

TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT, BOTTOM_RIGHT = 8, 4, 2, 1
WHOLE = 15


class Border(NamedTuple):
    """The border of one mask.

    Attributes:
        places: (h, w) where there is some of it.
        lengths: (n,) of what is at every place, row by row; None: all count alike.
    """

    places: NDArray[np.bool_]
    lengths: NDArray[np.float64] | None


def edge_pixels(mask: NDArray[np.bool_]) -> Border:
    """The pixels of a mask (h, w) with one of their four neighbours outside it, as in MONAI.

    What lies outside the array is outside the mask.
    """
    inside = mask.copy()
    inside[[0, -1]] = inside[:, [0, -1]] = False
    inside[1:-1, 1:-1] &= mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
    return Border(mask ^ inside, None)


def contour_elements(mask: NDArray[np.bool_], spacing: Spacing) -> Border:
    """The corners between pixels that the contour of a mask (h, w) passes, (h + 1, w + 1).

    The lengths are those of marching squares, as in DeepMind's surface-distance (Nikolov et al.
    2018, arXiv:1809.04430) and MONAI's `use_subvoxels`.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    code = TOP_LEFT * padded[:-1, :-1] + TOP_RIGHT * padded[:-1, 1:]
    code += BOTTOM_LEFT * padded[1:, :-1] + BOTTOM_RIGHT * padded[1:, 1:]
    places = (code > 0) & (code < WHOLE)
    return Border(places, _element_lengths(spacing)[code[places]])


def _element_lengths(spacing: Spacing) -> NDArray[np.float64]:
    """Length of the contour between four pixels, by which of them are in the mask (16,)."""
    down, across = spacing
    lengths = np.full(WHOLE + 1, np.hypot(down, across) / 2)  # around one pixel or all but one
    lengths[[0, WHOLE]] = 0
    lengths[[TOP_LEFT | BOTTOM_LEFT, TOP_RIGHT | BOTTOM_RIGHT]] = down
    lengths[[TOP_LEFT | TOP_RIGHT, BOTTOM_LEFT | BOTTOM_RIGHT]] = across
    lengths[[TOP_LEFT | BOTTOM_RIGHT, TOP_RIGHT | BOTTOM_LEFT]] *= 2  # around two, corner to corner
    return lengths


def boundary_width(size: tuple[int, int], share: float) -> int:
    """Pixels of a boundary as a share of the diagonal of an image (H, W); one at least."""
    return max(1, round(share * float(np.hypot(*size))))


def boundary(mask: NDArray[np.bool_], width: int) -> NDArray[np.bool_]:
    """The pixels of a mask (h, w) less than `width` + 1 rows or columns from outside it.

    As the boundary of Cheng et al. 2021 (arXiv:2103.16562): `width` erosions by 3 x 3 pixels.
    """
    padded = np.pad(mask, 1).view(np.uint8)
    inner = cv2.erode(padded, np.ones((3, 3), np.uint8), iterations=width)[1:-1, 1:-1]
    return np.asarray(mask & (inner == 0))
