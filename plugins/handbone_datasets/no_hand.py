"""Owns films that show no hand: a chest, another limb, a picture of something, nothing at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_datasets.planes import blurred, clouds

if TYPE_CHECKING:
    from handbone_datasets.planes import Floats

ARCS = 9  # pairs of ribs
LIMB_BONES = (1, 2, 2, 3)


def draw_no_hand(size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return (size, size) attenuations of bones and of all else."""
    kind = rng.random()
    if kind < 0.3:
        return _chest(size, rng)
    if kind < 0.6:
        return _limb(size, rng)
    nothing = np.zeros((size, size), np.float32)
    if kind < 0.9:
        return nothing, _picture(size, rng)
    return nothing, nothing.copy()


def _chest(size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A trunk with a spine, ribs, clavicles, two dark lungs and a heart between them."""
    bones, drawn = _plane(size), _plane(size)
    wide, high = float(rng.uniform(0.38, 0.5)), float(rng.uniform(0.5, 0.65))
    middle = 0.5 + rng.uniform(-0.04, 0.04, 2)
    _ellipse(drawn, middle, (wide, high), 0, 1.0)
    for sign in (-1, 1):
        lung = middle + np.array([sign * wide * 0.5, -0.05])
        _ellipse(drawn, lung, (wide * 0.36, high * 0.6), sign * 6, float(rng.uniform(0.25, 0.5)))
        for arc in range(ARCS):
            place = lung + np.array([0, high * (0.13 * arc - 0.62)])
            start = 180 if sign < 0 else 200
            _arc(bones, place, (wide * 0.48, high * 0.28), sign * 14, (start, start + 170), rng)
        collar = middle + np.array([sign * wide * 0.42, -high * 0.68])
        _arc(bones, collar, (wide * 0.4, high * 0.06), sign * -8, (180, 360), rng)
    heart = middle + np.array([0.25 * wide, 0.2 * high])
    _ellipse(drawn, heart, (wide * 0.34, high * 0.3), -30, 0.85)
    for step in np.arange(-0.75, 0.75, 0.09):  # vertebrae
        _ellipse(bones, middle + np.array([0, step * high]), (0.035, 0.022), 0, 0.6)
    return blurred(bones, 0.004 * size) * np.float32(rng.uniform(0.3, 0.9)), _soft(drawn, rng)


def _limb(size: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Long bones side by side or end to end, with their flesh: an elbow, a knee, a thigh."""
    bones, flesh = _plane(size), _plane(size)
    turn = float(rng.uniform(0, np.pi))
    along = np.array([np.cos(turn), np.sin(turn)])
    across = np.array([-along[1], along[0]])
    thick = float(rng.uniform(0.02, 0.09))
    for segment in range(int(rng.integers(1, 3))):
        start = rng.uniform(-0.2, 0.2) + 0.5 * segment
        count = int(rng.choice(LIMB_BONES))
        for number in range(count):
            side = (number - (count - 1) / 2) * thick * float(rng.uniform(2.2, 3.2))
            ends = [0.5 + (start + step) * along + side * across for step in (-0.45, 0.0)]
            _tube(bones, ends, thick * float(rng.uniform(0.8, 1.2)), rng)
        ends = [0.5 + (start + step) * along for step in (-0.6, 0.2)]
        _tube(flesh, ends, thick * (count + float(rng.uniform(1, 3))), rng, hollow=0)
    shade = np.float32(rng.uniform(0.4, 1.2))
    return blurred(bones, 0.003 * size) * shade, _soft(np.minimum(flesh, 1), rng)


def _picture(size: int, rng: np.random.Generator) -> Floats:
    """Shapes and textures of every size, as a photograph's."""
    plane = _plane(size)
    for cells in (3, 7, 17, 41, 97):
        if rng.random() < 0.7:
            plane += np.float32(rng.uniform(0.05, 0.4)) * clouds(rng, cells, size, size)
    for _ in range(int(rng.integers(0, 25))):
        corners = rng.uniform(0, size, 2) + size * rng.uniform(0.02, 0.35) * rng.normal(
            0, 1, (int(rng.integers(3, 7)), 2)
        )
        grey = float(rng.uniform(-1, 1))
        cv2.fillPoly(plane, [corners.astype(np.int32)], grey, cv2.LINE_AA)
    for _ in range(int(rng.integers(0, 12))):
        place, radii = rng.uniform(0, 1, 2), rng.uniform(0.01, 0.25, 2)
        _ellipse(plane, place, (radii[0], radii[1]), float(rng.uniform(0, 180)),
                 float(rng.uniform(-1, 1)))  # fmt: skip
    return plane * np.float32(rng.uniform(0.3, 1.5))


def _plane(size: int) -> Floats:
    return np.zeros((size, size), np.float32)


def _soft(drawn: Floats, rng: np.random.Generator) -> Floats:
    size = drawn.shape[0]
    uneven = 1 + 0.1 * clouds(rng, 13, size, size)
    return blurred(drawn, 0.006 * size) * uneven * np.float32(rng.uniform(0.3, 1.2))


def _ellipse(
    plane: Floats, place: Floats, radii: tuple[float, float], angle: float, value: float
) -> None:
    size = plane.shape[0]
    centre, axes = (place * size).astype(int).tolist(), [max(int(r * size), 1) for r in radii]
    cv2.ellipse(plane, centre, axes, angle, 0, 360, value, -1, cv2.LINE_AA)


def _arc(
    plane: Floats,
    place: Floats,
    radii: tuple[float, float],
    angle: float,
    reach: tuple[int, int],
    rng: np.random.Generator,
) -> None:
    """Add a bent bone."""
    size = plane.shape[0]
    drawn = np.zeros(plane.shape, np.uint8)
    centre, axes = (place * size).astype(int).tolist(), [max(int(r * size), 1) for r in radii]
    wide = max(int(size * float(rng.uniform(0.008, 0.02))), 1)
    cv2.ellipse(drawn, centre, axes, angle, *reach, 255, wide, cv2.LINE_AA)
    plane += drawn.astype(np.float32) * np.float32(0.5 / 255)


def _tube(
    plane: Floats, ends: list[Floats], thick: float, rng: np.random.Generator, hollow: float = 0.5
) -> None:
    """Add a long bone (or flesh) of round ends, thicker there, its middle less dense."""
    size = plane.shape[0]
    drawn = np.zeros(plane.shape, np.uint8)
    points = [(end * size).astype(int).tolist() for end in ends]
    wide = max(int(thick * size), 2)
    cv2.line(drawn, points[0], points[1], 255, wide, cv2.LINE_AA)
    if hollow:
        for point in points:
            cv2.circle(drawn, point, int(wide * float(rng.uniform(0.5, 0.9))), 255, -1, cv2.LINE_AA)
        cv2.line(drawn, points[0], points[1], int(255 * hollow), max(wide // 2, 1), cv2.LINE_AA)
    plane += drawn.astype(np.float32) / 255
