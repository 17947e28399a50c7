"""Owns where hands lie on a film of any kind: their place, turn, scale, side, and how many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from handbone_cli import HandFrame
from handbone_datasets.hand_shapes import RADIUS, ULNA, Hand, HandShapes
from handbone_datasets.varied_pose import pose

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_datasets.planes import Floats

View = Literal["film", "frame"]

# A hand is drawn upright on a canvas, where its forearm leaves below, and laid onto the film.
ZOOM = 0.78
TOP = 0.06  # canvas sides above the hand's own image
FOREARM = 1.3
HAND_LENGTH = 0.476  # canvas sides from the longest fingertip to the wrist
PALM = (6, 10, 14, 18)  # metacarpals of the fingers

NO_HAND = 0.05
PAIRS = 0.12
UPRIGHT = 0.6
PARTIAL = 0.1


@dataclass(frozen=True)
class Placed:
    """An upright right hand on its canvas, and how the canvas lies on the film.

    `matrix` (2, 3) takes x, y of the canvas to x, y of the film, both with pixel centres at +0.5.
    """

    hand: Hand
    child: bool
    matrix: NDArray[np.float64]

    def outlines(self) -> list[Floats]:
        """The 29 outlines on the film."""
        return [_apply(self.matrix, outline) for outline in _endless_forearm(self.hand)]


def draw_scene(seed: tuple[int, ...], size: int, view: View) -> list[Placed]:
    """Draw the hands of a film (size, size): one, sometimes two, and seldom none."""
    rng = np.random.default_rng(seed)
    if view == "frame":
        return [_framed(rng, size)]
    if rng.random() < NO_HAND:
        return []
    pair = bool(rng.random() < PAIRS)
    turn = np.radians(rng.normal(0, 12) if rng.random() < UPRIGHT else rng.uniform(-180, 180))
    if not pair:
        length = float(np.clip(rng.normal(0.68, 0.17), 0.3, 1.3))
        reach = 0.35 if rng.random() < PARTIAL else 0.12
        place = 0.5 + rng.uniform(-reach, reach, 2)
        return [_laid(rng, size, length, float(turn), place, mirrored=bool(rng.random() < 0.5))]
    hands, length = [], float(rng.uniform(0.34, 0.5))
    apart = float(rng.uniform(0.21, 0.27))
    first = bool(rng.random() < 0.5)
    for sign in (-1, 1):
        offset = sign * apart * np.array([np.cos(turn), np.sin(turn)]) + rng.uniform(-0.04, 0.04, 2)
        own = float(turn + np.radians(rng.normal(0, 6)))
        mirrored = first if sign < 0 else not first
        hands.append(_laid(rng, size, length, own, 0.5 + offset, mirrored=mirrored))
    return hands


def _canvas(rng: np.random.Generator, side: int) -> tuple[Hand, bool]:
    """Draw an upright right hand with much of its forearm on a square canvas."""
    drawn = HandShapes.load().draw(rng, size=side, side="right", bent_share=0.4, forearm=FOREARM)
    offset = np.array([(1 - ZOOM) / 2 * side, TOP * side], np.float32)
    bones = tuple(np.float32(ZOOM) * outline + offset for outline in drawn.outlines)
    posed = pose(Hand(bones, "right", side, drawn.bent, ZOOM), rng)
    return posed.hand, posed.child


def _laid(
    rng: np.random.Generator,
    size: int,
    length: float,
    turn: float,
    place: NDArray[np.float64],
    *,
    mirrored: bool,
) -> Placed:
    """A hand whose length is a share of the film's side, its palm at a place in film sides."""
    side = max(int(length * size / HAND_LENGTH), 64)
    hand, child = _canvas(rng, side)
    scale = length * size / (HAND_LENGTH * side)
    linear = scale * _turn(turn) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
    palm = np.concatenate([hand.outlines[bone] for bone in PALM]).mean(axis=0)
    offset = place * size - linear @ palm
    return Placed(hand, child, np.column_stack([linear, offset]))


def _framed(rng: np.random.Generator, size: int) -> Placed:
    """A hand as the frame shows it that another network has found, not quite exactly."""
    side = round(size * 1.28)
    hand, child = _canvas(rng, side)
    centres = np.stack([outline.mean(axis=0) for outline in hand.outlines])
    exact = HandFrame.of_upright(centres).to_square(size)
    jitter = np.exp(rng.normal(0, 0.05)) * _turn(float(np.radians(rng.normal(0, 5))))
    linear = jitter @ exact[:, :2]
    offset = jitter @ (exact[:, 2] - size / 2) + size / 2 + rng.normal(0, 0.025, 2) * size
    return Placed(hand, child, np.column_stack([linear, offset]))


def _endless_forearm(hand: Hand) -> list[Floats]:
    """The outlines with radius and ulna going straight down from the canvas's lower border."""
    outlines = list(hand.outlines)
    for bone in (RADIUS, ULNA):
        outlines[bone] = _carried_on(outlines[bone], float(hand.size))
    return outlines


def _carried_on(outline: Floats, level: float) -> Floats:
    """Cut an outline at y = `level` and carry it on downwards by two canvases."""
    below = outline[:, 1] > level
    if below.all() or not below.any():
        return outline
    start = int(np.flatnonzero(below & ~np.roll(below, 1))[0])
    turned = np.roll(outline, -start, axis=0)
    count = int(np.count_nonzero(below))
    first = _at_level(turned[-1], turned[0], level)
    last = _at_level(turned[count - 1], turned[count % len(turned)], level)
    deep = np.array([0.0, 2 * level], np.float32)
    end = np.stack([first, first + deep, last + deep, last])
    return np.concatenate([end, turned[count:]]).astype(np.float32)


def _at_level(a: Floats, b: Floats, level: float) -> Floats:
    share = (level - a[1]) / (b[1] - a[1] if b[1] != a[1] else 1e-6)
    return np.asarray([a[0] + share * (b[0] - a[0]), level], np.float32)


def _apply(matrix: NDArray[np.float64], points: Floats) -> Floats:
    return np.asarray(points @ matrix[:, :2].T + matrix[:, 2], np.float32)


def _turn(angle: float) -> NDArray[np.float64]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])
