"""Five figures that tell where an outline lies, how large it is, how slender and which way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"

FEATURES = 5
"""x, y of the centroid; half the log of the area; (Sxx - Syy) / S and 2 Sxy / S of the spread."""
SHAFT = 0.22
"""Units of a forearm bone that are looked at, from the wrist on: the image cuts off the rest."""
NO_AREA = 1e-9


@dataclass(frozen=True)
class Similarity:
    """From one frame to another: mirror x if asked, then turn, scale and move.

    Attributes:
        angle: radians from +x towards +y.
        scale: units of the target frame in one of the source frame.
        shift: (2,) in units of the target frame.
        mirrored: whether x changes its sign first.
    """

    angle: float
    scale: float
    shift: Floats
    mirrored: bool = False

    def points(self, points: Floats) -> Floats:
        """(..., 2) points in the target frame."""
        flip = np.array([-1.0 if self.mirrored else 1.0, 1.0])
        moved: Floats = self.scale * (points * flip) @ _turn(self.angle).T + self.shift
        return moved

    def features(self, features: Floats) -> Floats:
        """(..., 5) features of the same outlines in the target frame."""
        moved = np.array(features, np.float64)
        moved[..., :2] = self.points(features[..., :2])
        moved[..., 2] += np.log(self.scale)
        flip = np.array([1.0, -1.0 if self.mirrored else 1.0])
        moved[..., 3:] = (features[..., 3:] * flip) @ _turn(2 * self.angle).T
        return moved

    def back(self, points: Floats) -> Floats:
        """(..., 2) points of the target frame in the source frame."""
        flip = np.array([-1.0 if self.mirrored else 1.0, 1.0])
        turned: Floats = (points - self.shift) @ _turn(self.angle) / self.scale * flip
        return turned


def features_of(outlines: NDArray[np.floating]) -> Floats:
    """Features (..., 5) of closed outlines (..., n, 2), whichever way they run.

    Moments of the area by Green's theorem. An outline without area lies where its points lie and
    is very small.
    """
    outlines = np.asarray(outlines, np.float64)
    middle = outlines.mean(axis=-2, keepdims=True)
    x, y = np.moveaxis(outlines - middle, -1, 0)
    x2, y2 = np.roll(x, -1, axis=-1), np.roll(y, -1, axis=-1)
    cross = x * y2 - x2 * y
    area = cross.sum(axis=-1) / 2
    safe = np.where(np.abs(area) < NO_AREA, NO_AREA, area)
    cx = ((x + x2) * cross).sum(axis=-1) / (6 * safe)
    cy = ((y + y2) * cross).sum(axis=-1) / (6 * safe)
    sxx = ((x * x + x * x2 + x2 * x2) * cross).sum(axis=-1) / (12 * safe) - cx * cx
    syy = ((y * y + y * y2 + y2 * y2) * cross).sum(axis=-1) / (12 * safe) - cy * cy
    sxy = ((x * y2 + 2 * x * y + 2 * x2 * y2 + x2 * y) * cross).sum(axis=-1) / (24 * safe) - cx * cy
    spread = np.maximum(np.abs(sxx + syy), NO_AREA)
    size = 0.5 * np.log(np.maximum(np.abs(area), NO_AREA))
    place = cx + middle[..., 0, 0], cy + middle[..., 0, 1]
    ways = np.clip((sxx - syy) / spread, -1, 1), np.clip(2 * sxy / spread, -1, 1)
    return np.stack([*place, size, *ways], axis=-1)


def evenly(outline: NDArray[np.floating], points: int = 128) -> Floats:
    """A closed outline (n, 2) by so many points, even by arc length, from its first point on."""
    closed = np.concatenate([outline, outline[:1]]).astype(np.float64)
    along = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(closed, axis=0), axis=1))]
    places = np.arange(points) * along[-1] / points
    return np.stack([np.interp(places, along, closed[:, axis]) for axis in (0, 1)], axis=1)


def wrist_end(outlines: Floats, wrist: Floats, unit: float) -> Floats:
    """The parts of outlines (..., n, 2) next to the wrist (2,), `SHAFT` units long along each.

    Points beyond are moved along the bone's axis onto the line where it is cut, so many evenly set
    points are better than few.
    """
    places = features_of(outlines)
    angle = 0.5 * np.arctan2(places[..., 4], places[..., 3])
    axis = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    towards = np.sum(axis * (wrist - places[..., :2]), axis=-1, keepdims=True)
    axis = np.where(towards >= 0, axis, -axis)[..., None, :]
    along = np.sum(outlines * axis, axis=-1)
    least = along.max(axis=-1, keepdims=True) - SHAFT * unit
    ends: Floats = outlines + np.maximum(least - along, 0.0)[..., None] * axis
    return ends


def _turn(angle: float) -> Floats:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
