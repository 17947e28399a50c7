"""Owns what hides parts of a film of any kind: the collimator's shutters, and bars at borders."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_datasets.planes import blurred

if TYPE_CHECKING:
    from handbone_datasets.planes import Floats, Mask

COLLIMATED, BARS, CARRIED_ON = 0.5, 0.25, 0.2
SHADES = (0.0, 0.0, 0.03, 0.1, 0.3, 1.0)
THROUGH = (0.0, 0.0, 0.1, 0.35)  # shares that shutters let through


@dataclass(frozen=True)
class Shutters:
    """A turned rectangle that the collimator leaves open.

    `corners` (4, 2) are x, y in film sides; `soft` is the blur of its rim in pixels; around it the
    film has `shade`, and a share `through` of what was there.
    """

    corners: Floats
    soft: float
    shade: float
    through: float


@dataclass(frozen=True)
class Bars:
    """Strips at top, bottom, left and right, in film sides, of one grey.

    Without a grey the last line before the strip goes on, as resampling beyond a film's border
    makes it.
    """

    ends: Floats
    grey: float | None

    def cells(self, size: int) -> list[tuple[slice, slice]]:
        """Rows and columns of the strips on a film (size, size)."""
        top, bottom, left, right = (int(end * size) for end in self.ends)
        every = slice(0, size)
        return [
            (slice(0, top), every),
            (slice(size - bottom, size), every),
            (every, slice(0, left)),
            (every, slice(size - right, size)),
        ]


@dataclass(frozen=True)
class FilmCut:
    """What is hidden on a film, for its picture and its annotation alike."""

    shutters: Shutters | None
    bars: Bars | None

    @classmethod
    def draw(cls, rng: np.random.Generator) -> FilmCut:
        """Draw both; often there is neither."""
        shutters = _draw_shutters(rng) if rng.random() < COLLIMATED else None
        return cls(shutters, _draw_bars(rng) if rng.random() < BARS else None)

    def shut(self, shown: Floats) -> None:
        """Darken or whiten what lies beyond the shutters, in place; values are 0 to 1."""
        if self.shutters is None:
            return
        soft = blurred(_opened(self.shutters, shown.shape[0]), self.shutters.soft) / 255
        through = self.shutters.through
        shown *= soft + (1 - soft) * np.float32(through)
        shown += np.float32(self.shutters.shade * (1 - through)) * (1 - soft)

    def cover(self, shown: Floats) -> None:
        """Lay the bars on, in place."""
        if self.bars is None:
            return
        size = shown.shape[0]
        top, bottom, left, right = (int(end * size) for end in self.bars.ends)
        if self.bars.grey is None:
            inside = shown[top : size - bottom, left : size - right]
            around = (top, bottom, left, right)
            shown[:] = cv2.copyMakeBorder(inside, *around, borderType=cv2.BORDER_REPLICATE)
            return
        for cell in self.bars.cells(size):
            shown[cell] = self.bars.grey

    def seen(self, size: int) -> Mask | None:
        """(size, size) 1 where anything of the hand is seen; None where nothing is hidden."""
        hides = self.shutters is not None and self.shutters.through == 0
        if not hides and self.bars is None:
            return None
        seen = np.ones((size, size), np.uint8)
        if hides and self.shutters is not None:
            seen = (_opened(self.shutters, size) > 127).astype(np.uint8)
        for cell in self.bars.cells(size) if self.bars else ():
            seen[cell] = 0
        return seen


def _draw_shutters(rng: np.random.Generator) -> Shutters:
    middle, sides = 0.5 + rng.uniform(-0.05, 0.05, 2), rng.uniform(0.62, 1.15, 2)
    angle = float(rng.normal(0, 6) if rng.random() < 0.8 else rng.uniform(-45, 45))
    corners = cv2.boxPoints((middle.tolist(), sides.tolist(), angle))
    soft = float(rng.uniform(0.4, 2.5))
    return Shutters(
        np.asarray(corners, np.float32), soft, float(rng.choice(SHADES)), float(rng.choice(THROUGH))
    )


def _draw_bars(rng: np.random.Generator) -> Bars:
    grey = float(rng.choice((0.0, 0.0, 1.0, 1.0, rng.uniform(0, 1))))
    ends = rng.uniform(0, 0.16, 4) * (rng.random(4) < 0.4)
    return Bars(ends.astype(np.float32), None if rng.random() < CARRIED_ON else grey)


def _opened(shutters: Shutters, size: int) -> Mask:
    """(size, size) 255 in the open field, its rim anti-aliased."""
    opened = np.zeros((size, size), np.uint8)
    corners = np.rint(shutters.corners * size * 16).astype(np.int32)
    cv2.fillPoly(opened, [corners], 255, cv2.LINE_AA, 4)
    return opened
