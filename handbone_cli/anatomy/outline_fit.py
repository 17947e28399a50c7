"""How an outline leaves the shape that the model expects of its bone, once laid on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from handbone_cli.anatomy.linear_features import FOREARM_BONES
from handbone_cli.anatomy.outline_features import (
    SHAFT,
    Similarity,
    evenly,
    features_of,
    wrist_end,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"

POINTS = 96
SMOOTH = 5  # neighbouring points averaged: a twentieth of the outline
SLENDER = 0.3  # (length^2 - width^2) / (their sum) from which a direction is to be trusted
FINE = 4096.0  # steps in a unit, for OpenCV
SESAMOID = [47, 0, 1]
"""Points of finger-3 on the sesamoid that many annotators count to it."""
REACH = 0.05  # units around the sesamoid's place
DISC = 0.028  # units; a sesamoid and its neck are thinner than two of it
GRID = 1000.0  # pixels of a unit


@dataclass(frozen=True, eq=False)
class OutlineOff:
    """An outline (n, 2) in units against its expected shape.

    Attributes:
        points: (96, 2) of the outline, even by arc length.
        off: (96,) units outside (positive) or inside the expected outline, smoothed.
        along: (96,) 0 to 1 from one end of the bone's long axis to the other.
        beside: (96,) on which side of that axis, -1 or 1.
    """

    points: Floats
    off: Floats
    along: Floats
    beside: Floats


def lay_on(outline: Floats, expected: Floats, bone: int) -> OutlineOff:
    """Compare an outline in units with the expected one (48, 2), place, size and turn aside.

    Of forearm bones the wrist end alone is compared; the rest counts as not off.
    """
    points, laid = evenly(outline, POINTS), _laid(outline, expected, bone)
    off = distances(points, laid)
    if bone in FOREARM_BONES:
        end = features_of(wrist_end(points, np.zeros(2), 1.0))[:2]
        off = np.where(np.linalg.norm(points - end, axis=1) > 0.7 * SHAFT, 0.0, off)
    place = features_of(outline)
    angle = 0.5 * np.arctan2(place[4], place[3])
    axis = np.array([np.cos(angle), np.sin(angle)])
    level = points @ axis
    side = np.sign((points - place[:2]) @ np.array([-axis[1], axis[0]]))
    kernel = np.ones(SMOOTH) / SMOOTH
    around = np.r_[off[-(SMOOTH // 2) :], off, off[: SMOOTH // 2]]
    smooth = np.convolve(around, kernel, "valid")
    return OutlineOff(points, smooth, (level - level.min()) / max(np.ptp(level), 1e-9), side)


def _laid(outline: Floats, expected: Floats, bone: int) -> Floats:
    forearm = bone in FOREARM_BONES
    both = np.stack([evenly(outline, POINTS), evenly(expected, POINTS)])
    seen, likely = features_of(wrist_end(both, np.zeros(2), 1.0) if forearm else both)
    slender = min(float(np.hypot(*seen[3:])), float(np.hypot(*likely[3:])))
    cross, dot = likely[3] * seen[4] - likely[4] * seen[3], likely[3:] @ seen[3:]
    angle = 0.5 * float(np.arctan2(cross, dot)) if slender > SLENDER else 0.0
    scale = 1.0 if forearm else float(np.exp(seen[2] - likely[2]))
    return Similarity(angle, scale, seen[:2]).points(expected - likely[:2])


def distances(points: Floats, outline: Floats) -> Floats:
    """Units by which points (n, 2) lie outside (positive) or inside a closed outline: (n,)."""
    contour = np.rint(evenly(outline, 2 * POINTS) * FINE).astype(np.int32)[:, None]
    fine = [(float(x), float(y)) for x, y in points * FINE]
    inside = [cv2.pointPolygonTest(contour, point, measureDist=True) for point in fine]
    return -np.array(inside) / FINE


def ring_width(off: OutlineOff) -> float:
    """Units by which a shaft is too thick on both sides, as a ring makes it; 0 if its ends are off.

    The lesser of the two sides between a fifth and four fifths of the length counts.
    """
    shaft = (off.along > 0.2) & (off.along < 0.8)
    sides = [off.off[shaft & (off.beside == side)] for side in (-1, 1)]
    ends = off.off[(off.along < 0.08) | (off.along > 0.92)]
    if any(not len(side) for side in sides) or not len(ends):
        return 0.0
    wide = min(float(side.max()) for side in sides)
    return wide if wide > float(np.abs(ends).max()) else 0.0


def sesamoid_area(outline: Floats, expected: Floats, bone: int) -> float:
    """Thousandths of a square unit that stick out of finger-3 where the sesamoid lies.

    What an opening (erosion, then dilation) with a disc of `DISC` takes away there: a condyle is
    rounder than the disc and stays, a sesamoid on its neck goes.
    """
    laid = _laid(outline, expected, bone)
    low = outline.min(axis=0) - 2 * DISC
    width, height = np.ceil((np.ptp(outline, axis=0) + 4 * DISC) * GRID).astype(int).tolist()
    canvas = np.zeros((height, width), np.uint8)
    cv2.fillPoly(canvas, [np.rint((outline - low) * GRID).astype(np.int32)], (1,))
    reach = round(DISC * GRID)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    gone = canvas - cv2.morphologyEx(canvas, cv2.MORPH_OPEN, disc)
    place = np.zeros_like(canvas)
    centre = np.rint((laid[SESAMOID].mean(axis=0) - low) * GRID).astype(int).tolist()
    cv2.circle(place, (centre[0], centre[1]), round(REACH * GRID), (1,), -1)
    return float(np.count_nonzero(gone & place)) / GRID**2 * 1000
