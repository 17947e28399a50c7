"""Owns the poses that the study's hands do not take: fingers spread, bent and crossed, children."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_datasets.hand_shapes import RADIUS, ULNA, Hand
from handbone_datasets.soft_tissue import DIGITS, Segment, finger_segments

if TYPE_CHECKING:
    from handbone_datasets.planes import Floats

# Chosen, in degrees and shares; the shape model's own poses come on top.
JOINT_SD = (2.5, 2.5, 4.0, 1.5)  # from the last joint of a finger to its metacarpal's base
THUMB_SD = (5.0, 6.0, 8.0)
LOOSE, LOOSE_TIMES = 0.25, 2.6  # hands whose joints are turned far more
FLEXED = 0.12  # fingers seen shortened
WRIST_SD = 5.0
CHILDREN = 0.15
CARPALS = range(19, 27)
PLATE = 0.022  # of a bone's length, half a growth plate


@dataclass(frozen=True)
class Pose:
    """A hand in a pose of its own; `child` says that its growth plates are open."""

    hand: Hand
    child: bool


def pose(hand: Hand, rng: np.random.Generator) -> Pose:
    """Turn the joints of an upright right hand; every bone stays as rigid as a projection is."""
    bones = [np.array(outline, dtype=np.float32) for outline in hand.outlines]
    segments = finger_segments(hand)
    times = LOOSE_TIMES if rng.random() < LOOSE else 1.0
    spread = float(rng.normal(0.0, 2.5)) * times
    for number, digit in enumerate(DIGITS):
        sds = JOINT_SD if number else THUMB_SD
        turns = rng.normal(0.0, sds) * times
        turns[-2] += spread * (number - 2.5) if number else 0.0
        short = float(rng.uniform(0.6, 1.0)) if rng.random() < FLEXED else 1.0
        _turn_digit(bones, segments, digit, turns, short)
    _turn_hand(bones, float(rng.normal(0.0, WRIST_SD)))
    child = bool(rng.random() < CHILDREN)
    if child:
        share = float(rng.uniform(0.5, 0.95))
        for carpal in CARPALS:
            centre = bones[carpal].mean(axis=0)
            own = np.float32(share * rng.uniform(0.85, 1.1))
            bones[carpal] = centre + own * (bones[carpal] - centre)
    return Pose(Hand(tuple(bones), hand.side, hand.size, hand.bent, hand.zoom), child)


def _turn_digit(
    bones: list[Floats],
    segments: list[Segment],
    digit: tuple[int, ...],
    turns: np.ndarray[tuple[int], np.dtype[np.float64]],
    short: float,
) -> None:
    """Turn all that is beyond each joint of a digit, from the wrist outwards, in place."""
    for level in range(len(digit) - 1, -1, -1):
        bone = digit[level]
        near = segments[bone].proximal
        if level + 1 < len(digit):
            near = (near + segments[digit[level + 1]].distal) / 2
        matrix = _turn(float(np.radians(turns[level])))
        if level == len(digit) - 2 and short < 1:
            way = segments[bone].distal - segments[bone].proximal
            way = way / max(float(np.linalg.norm(way)), 1e-6)
            matrix = matrix @ (np.eye(2) - (1 - short) * np.outer(way, way))
        for beyond in digit[: level + 1]:
            bones[beyond] = ((bones[beyond] - near) @ matrix.T + near).astype(np.float32)
            rod = segments[beyond]
            ends = [
                ((end - near) @ matrix.T + near).astype(np.float32)
                for end in (rod.distal, rod.proximal)
            ]
            segments[beyond] = Segment(ends[0], ends[1], rod.half_width)


def _turn_hand(bones: list[Floats], degrees: float) -> None:
    """Turn everything but the forearm about the middle of the carpals, in place."""
    centre = np.concatenate([bones[carpal] for carpal in CARPALS]).mean(axis=0)
    matrix = _turn(float(np.radians(degrees)))
    for bone in range(RADIUS):
        bones[bone] = ((bones[bone] - centre) @ matrix.T + centre).astype(np.float32)


def _turn(angle: float) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin], [sin, cos]])


def open_growth_plates(plane: Floats, hand: Hand, rng: np.random.Generator) -> None:
    """Take the bone out of the growth plates, in place: dark lines across the bones (size, size).

    They lie at the bases of phalanges and of the first metacarpal, at the heads of the others, and
    at the wrist's end of radius and ulna. The annotation goes on across them.
    """
    gaps = np.zeros(plane.shape, np.uint8)
    segments = finger_segments(hand)
    bases = [bone for digit in DIGITS for bone in digit[:-1]] + [DIGITS[0][-1]]
    heads = [digit[-1] for digit in DIGITS[1:]]
    for bone in (*bases, *heads):
        rod = segments[bone]
        share = float(rng.uniform(0.78, 0.9))
        place = rod.distal + (share if bone in bases else 1 - share) * (rod.proximal - rod.distal)
        _gap(gaps, place, rod.proximal - rod.distal, 2.2 * rod.half_width)
    for bone in (RADIUS, ULNA):
        outline = hand.outlines[bone]
        top = outline[outline[:, 1] < outline[:, 1].min() + 130 * hand.px]
        wide = float(np.ptp(top[:, 0]))
        place = np.array([top[:, 0].mean(), outline[:, 1].min() + 90 * hand.px])
        _gap(gaps, place, np.array([0.0, 350 * hand.px]), wide)
    depth = np.float32(rng.uniform(0.5, 0.95) / 255)
    plane *= 1 - depth * cv2.GaussianBlur(gaps, (0, 0), max(1.5 * hand.px, 0.4)).astype(np.float32)


def _gap(
    gaps: np.ndarray[tuple[int, int], np.dtype[np.uint8]], place: Floats, way: Floats, wide: float
) -> None:
    """Draw a line of length `wide` across a bone of axis `way` at a place (x, y)."""
    length = max(float(np.linalg.norm(way)), 1e-6)
    across = np.array([-way[1], way[0]]) / length * wide / 2
    ends = [np.rint((place + sign * across - 0.5) * 16).astype(int).tolist() for sign in (-1, 1)]
    cv2.line(gaps, ends[0], ends[1], 255, max(round(2 * PLATE * length), 1), cv2.LINE_AA, 4)
