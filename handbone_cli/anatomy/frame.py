"""Owns the upright frame of a hand in an image: where it lies, how it is turned, which side."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.anatomy.shape_model import ShapeModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

RIGID = HAND_BONES.index("Radius")
"""Bones before it have a centre of their own; forearm bones are cut by the image's border."""

CENTRE = (-0.07, -0.30)
SIDE = 1.9
"""The square around an upright hand, fingers spread or not, in units of the shape model."""

NEAR = 0.25  # units; how far a bone may lie from the mean hand's, and still speak for a frame
LEAST_BONES = 6
LEAST_OF_SECOND = 10  # of a second hand on the film, which stray regions must not make up
LEAST_SCALE = 1e-6  # units a pixel
ROUNDS = 3
SAMPLED = 3000  # pairs of centres that are tried at most


@dataclass(frozen=True, eq=False)
class HandFrame:
    """A similarity from the image's x, y in pixels to the frame of the shape model.

    Attributes:
        matrix: (2, 3) pixels to units of an upright right hand; it mirrors a left one.
        side: 'right' where the thumb is on the left of a hand whose fingers point up.
        bones: how many bones lie where this frame has them.
    """

    matrix: NDArray[np.float64]
    side: str
    bones: int

    def to_square(self, size: int) -> NDArray[np.float64]:
        """(2, 3) from the image's pixels to those of the square of `size` px around the hand."""
        scale = size / SIDE
        offset = scale * (self.matrix[:, 2] - CENTRE) + size / 2
        return np.column_stack([scale * self.matrix[:, :2], offset])

    @classmethod
    def of_upright(cls, centres: NDArray[np.floating]) -> HandFrame:
        """The frame of a right hand that points up, of its 29 centres (29, 2) in pixels."""
        return cls(similarity(centres[:RIGID], mean_centres()[:RIGID]), "right", RIGID)

    @staticmethod
    def find(
        bones: Sequence[int], centres: NDArray[np.floating], hands: int = 2
    ) -> list[HandFrame]:
        """`find_frames`, for plugins."""
        return find_frames(bones, centres, hands)


@lru_cache(maxsize=1)
def mean_centres() -> NDArray[np.float64]:
    """(29, 2) the mean hand's centres, in units."""
    return np.asarray(ShapeModel.load().mean.mean(axis=1), np.float64)


def similarity(source: NDArray[np.floating], target: NDArray[np.floating]) -> NDArray[np.float64]:
    """(2, 3) the turn, scale and shift that takes points (n, 2) best onto others, unmirrored.

    Umeyama 1991, doi:10.1109/34.88573, in complex numbers.
    """
    a, b = (_complex(points) for points in (source, target))
    centred = a - a.mean()
    factor = np.vdot(centred, b - b.mean()) / max(float(np.vdot(centred, centred).real), 1e-12)
    return _matrix(factor, b.mean() - factor * a.mean())


def find_frames(
    bones: Sequence[int], centres: NDArray[np.floating], hands: int = 2
) -> list[HandFrame]:
    """The frames of the hands whose bones these may be, the surest first.

    Every pair of centres proposes a frame, of a right and of a left hand; the one that most bones
    agree with is fitted to those (RANSAC: Fischler and Bolles 1981, doi:10.1145/358669.358692).
    So a bone that was named wrongly, a marker taken for one, or another hand does no harm.

    Args:
        bones: n class indices; a bone may come several times, with other places.
        centres: (n, 2) x, y in pixels.
        hands: how many to look for at most.
    """
    index = np.asarray(bones, np.intp)
    points = _complex(np.asarray(centres, np.float64).reshape(-1, 2))
    rigid = index < RIGID
    index, points = index[rigid], points[rigid]
    frames: list[HandFrame] = []
    while len(frames) < hands:
        found = _best(index, points)
        if found is None or found.bones < (LEAST_OF_SECOND if frames else LEAST_BONES):
            break
        frames.append(found)
        units = _complex(np.stack([points.real, points.imag], 1) @ found.matrix[:, :2].T
                         + found.matrix[:, 2])  # fmt: skip
        other = np.abs(units - _complex(mean_centres())[index]) > 2 * NEAR
        index, points = index[other], points[other]
    return frames


def _best(index: NDArray[np.intp], points: NDArray[np.complex128]) -> HandFrame | None:
    """The frame that most bones agree with, of either side; None with too few points."""
    proposals = [
        (_propose(index, seen), side, seen)
        for side, seen in (("right", points), ("left", -points.conj()))
    ]
    proposed = [(found, side, seen) for found, side, seen in proposals if found is not None]
    if not proposed:
        return None
    (_, factor, offset), side, seen = max(proposed, key=lambda each: each[0][0])
    target = _complex(mean_centres())[index]
    agrees = _nearest_of_each(index, np.abs(factor * seen + offset - target))
    for _ in range(ROUNDS):
        if np.count_nonzero(agrees) < LEAST_BONES:
            return None
        matrix = similarity(_pairs(seen[agrees]), _pairs(target[agrees]))
        factor, offset = complex(*matrix[:, 0]), complex(*matrix[:, 2])
        agrees = _nearest_of_each(index, np.abs(factor * seen + offset - target))
    if abs(factor) < LEAST_SCALE:  # all in one place
        return None
    matrix = _matrix(factor, offset)
    if side == "left":
        matrix[:, 0] *= -1
    return HandFrame(matrix, side, int(np.count_nonzero(agrees)))


def _propose(
    index: NDArray[np.intp], points: NDArray[np.complex128]
) -> tuple[float, complex, complex] | None:
    """The score, factor and offset of the best frame through two centres."""
    target = _complex(mean_centres())[index]
    first, second = np.nonzero(index[:, None] < index[None, :])
    apart = np.abs(target[first] - target[second]) > NEAR  # neighbours tell no angle
    first, second = first[apart], second[apart]
    if len(first) == 0:
        return None
    step = -(-len(first) // SAMPLED)
    first, second = first[::step], second[::step]
    way = points[second] - points[first]
    way[way == 0] = 1e-9
    factors = (target[second] - target[first]) / way
    offsets = target[first] - factors * points[first]
    far = np.abs(factors[:, None] * points[None, :] + offsets[:, None] - target[None, :])
    votes = np.maximum(1 - (far / NEAR) ** 2, 0)
    scores = np.zeros(len(factors))
    for bone in np.unique(index):  # a bone has one vote, wherever it may be
        scores += votes[:, index == bone].max(axis=1)
    best = int(scores.argmax())
    return float(scores[best]), complex(factors[best]), complex(offsets[best])


def _nearest_of_each(index: NDArray[np.intp], far: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points are near enough, and the nearest of their bone."""
    chosen = np.zeros(len(index), np.bool_)
    for bone in np.unique(index):
        own = np.flatnonzero(index == bone)
        nearest = own[far[own].argmin()]
        chosen[nearest] = far[nearest] < NEAR
    return chosen


def _complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    return np.asarray(points[:, 0] + 1j * points[:, 1], np.complex128)


def _pairs(points: NDArray[np.complex128]) -> NDArray[np.float64]:
    return np.stack([points.real, points.imag], axis=1)


def _matrix(factor: complex, offset: complex) -> NDArray[np.float64]:
    return np.array(
        [[factor.real, -factor.imag, offset.real], [factor.imag, factor.real, offset.imag]]
    )
