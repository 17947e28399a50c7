"""How a hand lies in its picture: whether the wrist is bent, and which hand it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.anatomy.hand import FINGERS, FOREARM
from handbone_cli.masks import as_polygons

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask

BENT = 22.0
"""Degrees from which a wrist is called bent.

Of 2000 hands of the generated dataset the straight ones lie between -13 and 14, the bent ones
between 29 and 54; 24 real straight hands lie between -5 and 15.
"""

SLENDER = 1.5
"""Least length over width of a bone with an axis; one cut off shorter points anywhere."""

ACROSS = 0.5
"""Cosine to the way to the hand below which a forearm bone's axis lies across: it is a stub."""

MIDDLE = FINGERS["middle"][-1]
METACARPALS = tuple(bones[-1] for bones in FINGERS.values())


@dataclass(frozen=True)
class Pose:
    """How a hand lies.

    Attributes:
        bend: degrees from the forearm's axis to the hand's, -180 to 180: 0 is straight, positive
            towards the little finger (ulnar deviation), negative towards the thumb. Where the
            side is unknown, positive is clockwise on the screen.
        bent: whether it is `BENT` or more, either way.
        side: 'right' where the thumb is on the left of a hand whose fingers point up, else
            'left': a hand seen from its back, as on a cassette. None with one metacarpal alone.
    """

    bend: float
    bent: bool
    side: str | None


@dataclass(frozen=True)
class _Bone:
    """Centroid and long axis (2,) of the largest part of a bone, x to the right, y down."""

    area: float
    centre: NDArray[np.float64]
    axis: NDArray[np.float64]
    slender: float


def pose_of(
    labels: PackedMask | Mapping[int, Sequence[NDArray[np.float32]]], class_names: Sequence[str]
) -> Pose | None:
    """The pose of a hand from its outlines or masks; None without the bones it takes.

    The hand's axis is the middle metacarpal's, the forearm's is that of Radius and Ulna as far as
    the image shows them, as a goniometer is laid for wrist deviation (Norkin and White,
    "Measurement of Joint Motion"). The hand may be turned any way in the image.

    Args:
        labels: outlines in pixels by class index, or masks.
        class_names: the names of the classes; bones by the names of `HAND_BONES`.
    """
    wanted = {*METACARPALS, *FOREARM}
    outlines = as_polygons(labels)
    bones = {
        name: bone
        for index, name in enumerate(class_names)
        if name in wanted and (bone := _measure(outlines.get(index, ())))
    }
    forearm = [bones[name] for name in FOREARM if name in bones]
    if MIDDLE not in bones or bones[MIDDLE].slender <= SLENDER or not forearm:
        return None
    distal = bones[MIDDLE].centre - np.mean([bone.centre for bone in forearm], axis=0)
    axes = [_along(bone.axis, distal) for bone in forearm if bone.slender > SLENDER]
    lengthwise = [axis for axis in axes if axis @ distal > ACROSS * np.linalg.norm(distal)]
    if not lengthwise:
        return None
    hand, arm = _along(bones[MIDDLE].axis, distal), np.sum(lengthwise, axis=0)
    clockwise = float(np.degrees(np.arctan2(_cross(arm, hand), arm @ hand)))
    row = [bones[name].centre for name in METACARPALS if name in bones]
    across = _cross(hand, row[-1] - row[0]) if len(row) > 1 else 0.0
    side = None if across == 0 else "right" if across > 0 else "left"
    bend = -clockwise if side == "left" else clockwise
    return Pose(bend, abs(bend) >= BENT, side)


def _measure(outlines: Sequence[NDArray[np.float32]]) -> _Bone | None:
    """The largest part by its area moments; None without one."""
    parts = [part for outline in outlines if (part := _moments(outline))]
    return max(parts, key=lambda part: part.area, default=None)


def _moments(outline: NDArray[np.float32]) -> _Bone | None:
    found = cv2.moments(np.ascontiguousarray(outline, np.float32))
    area = found["m00"]
    if area <= 0:
        return None
    spread = np.array([[found["mu20"], found["mu11"]], [found["mu11"], found["mu02"]]]) / area
    (low, high), axes = np.linalg.eigh(spread)
    centre = np.array([found["m10"], found["m01"]]) / area
    return _Bone(area, centre, axes[:, 1], float(np.sqrt(high / max(low, 1e-9))))


def _along(axis: NDArray[np.float64], way: NDArray[np.float64]) -> NDArray[np.float64]:
    return axis if axis @ way >= 0 else -axis


def _cross(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Positive where `other` lies clockwise of `one` on the screen."""
    return float(one[0] * other[1] - one[1] * other[0])
