"""Rules that fill holes, close gaps and take spurs off one bone's mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
from pydantic import Field

from handbone_cli import Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli import PostContext


class FillHolesOptions(Options):
    """Options of fill_holes."""

    max_area: int | None = Field(None, ge=1)
    """Largest hole that is filled, in px; none: holes of any size."""

    grid: ClassVar[Mapping[str, Sequence[int]]] = {"max_area": (100, 400, 2000, 10_000)}


class DiscOptions(Options):
    """Options of closing and opening."""

    radius: int = Field(3, ge=1, le=200)
    """Of the disc, in px."""

    grid: ClassVar[Mapping[str, Sequence[int]]] = {"radius": (1, 2, 3, 5, 8)}


@dataclass(frozen=True)
class FillHoles:
    """Fills holes of `max_area` px at most: 4-connected, and away from the edges of the box."""

    max_area: int | None

    def __call__(self, mask: NDArray[np.bool_], class_name: str) -> NDArray[np.bool_]:
        """(h, w) booleans -> an array of its own, the same shape."""
        outside = np.pad(~mask, 1, constant_values=True).astype(np.uint8)
        _, labels, statistics, _ = cv2.connectedComponentsWithStats(
            outside, connectivity=4, ltype=cv2.CV_32S
        )
        filled = np.ones(len(statistics), np.bool_)
        if self.max_area is not None:
            filled = statistics[:, cv2.CC_STAT_AREA] <= self.max_area
        filled[0], filled[labels[0, 0]] = True, False  # the bone, and what lies around it
        result: NDArray[np.bool_] = filled[labels[1:-1, 1:-1]]
        return result


@dataclass(frozen=True)
class DiscRule:
    """A morphological operation with a disc; at its edges the box goes on as it ends.

    A bone that the image cuts off so keeps its cut edge.
    """

    operation: int
    radius: int

    def __call__(self, mask: NDArray[np.bool_], class_name: str) -> NDArray[np.bool_]:
        """(h, w) booleans -> an array of its own, the same shape."""
        if mask.size == 0:  # which OpenCV refuses
            return mask.copy()
        around = 2 * self.radius
        padded = np.pad(mask, around, mode="edge").astype(np.uint8)
        changed = cv2.morphologyEx(padded, self.operation, disc(self.radius))
        return changed[around:-around, around:-around] > 0


def disc(radius: int) -> NDArray[np.uint8]:
    """(2 r + 1, 2 r + 1) uint8, 1 where a pixel's centre is within the radius."""
    along = np.arange(-radius, radius + 1)
    return (along[:, None] ** 2 + along**2 <= radius**2).astype(np.uint8)


def build_fill_holes(options: FillHolesOptions, context: PostContext) -> FillHoles:
    """Filling of holes with the options of a recipe."""
    return FillHoles(options.max_area)


def build_closing(options: DiscOptions, context: PostContext) -> DiscRule:
    """Closing of gaps narrower than the disc."""
    return DiscRule(cv2.MORPH_CLOSE, options.radius)


def build_opening(options: DiscOptions, context: PostContext) -> DiscRule:
    """Removal of what is narrower than the disc."""
    return DiscRule(cv2.MORPH_OPEN, options.radius)
