"""Owns the flesh around the bones: where it reaches and how much X-ray it takes away.

Radii are in px at 2048, read off real radiographs: a fingertip is about twice as wide as its
bone, a proximal phalanx 1.65 times, and the skin lies some 60 px beside palm and forearm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli import HAND_BONES
from handbone_datasets.hand_shapes import RADIUS, ULNA
from handbone_datasets.planes import blurred, clouds

if TYPE_CHECKING:
    from handbone_datasets.hand_shapes import Hand
    from handbone_datasets.planes import Floats, Mask

CAPITATE = HAND_BONES.index("Capitate")

# Bones of each digit from its tip; the last is the metacarpal.
DIGITS = ((0, 1, 2), (3, 4, 5, 6), (7, 8, 9, 10), (11, 12, 13, 14), (15, 16, 17, 18))
FINGER_RADII = (2.05, 1.8, 1.68)  # flesh over bone, both half widths, from tip to base
THUMB_RADII = (2.05, 1.75)
METACARPAL_RADII = (82.0, 66.0, 60.0, 60.0, 74.0)
WRIST_RADIUS, FOREARM_RADIUS, PALM_RADIUS = 52.0, 58.0, 26.0
WEB = 0.34  # how far up a proximal phalanx the skin between two fingers reaches
ROUNDED = 0.46
DEEPEST = 150.0  # half thickness of the palm


@dataclass(frozen=True)
class Segment:
    """A bone as a rod: its ends `distal` and `proximal` (2,) and its mean half width, in px."""

    distal: Floats
    proximal: Floats
    half_width: float

    @classmethod
    def of(cls, outline: Floats) -> Segment:
        """Measure a rod on an outline (n, 2); distal is the end further up in the image's frame."""
        centre = outline.mean(axis=0)
        centred = outline - centre
        axis = np.linalg.svd(centred, full_matrices=False)[2][0]
        along = centred @ axis
        length = float(along.max() - along.min())
        area = float(cv2.contourArea(outline))
        ends = centre + along.min() * axis, centre + along.max() * axis
        return cls(ends[0], ends[1], area / max(length, 1e-6) / 2)

    def away_from(self, place: Floats) -> Segment:
        """The same rod with its proximal end the one nearer to `place` (2,)."""
        gaps = [float(np.linalg.norm(end - place)) for end in (self.distal, self.proximal)]
        if gaps[0] >= gaps[1]:
            return self
        return Segment(self.proximal, self.distal, self.half_width)


def finger_segments(hand: Hand) -> list[Segment]:
    """Rods of finger-1 to finger-19, proximal ends towards the wrist."""
    wrist = hand.outlines[CAPITATE].mean(axis=0)
    return [Segment.of(outline).away_from(wrist) for outline in hand.outlines[:19]]


def tissue_mask(hand: Hand, grid: int, fat: float) -> Mask:
    """Return (grid, grid) 0 or 1, the skin's inside; `fat` 0.7 to 1.3 scales all radii."""
    ratio = grid / hand.size
    mask = np.zeros((grid, grid), np.uint8)
    segments = finger_segments(hand)
    for number, digit in enumerate(DIGITS):
        factors = FINGER_RADII if number else THUMB_RADII
        for bone, factor in zip(digit[:-1], factors, strict=True):
            radius = segments[bone].half_width * factor * (0.6 + 0.4 * fat)
            _rod(mask, segments[bone], radius, ratio)
        radius = METACARPAL_RADII[number] * fat * hand.px
        _rod(mask, segments[digit[-1]], radius, ratio)
    _palm_and_forearm(mask, hand, segments, fat)
    return _rounded(mask, 22.0 * grid * hand.zoom / 2048)


def _rod(mask: Mask, segment: Segment, radius: float, ratio: float) -> None:
    ends = [_fixed(end * ratio) for end in (segment.distal, segment.proximal)]
    cv2.line(mask, ends[0], ends[1], 1, max(round(2 * radius * ratio), 1), cv2.LINE_8, 4)
    for end in ends:
        cv2.circle(mask, end, max(round(radius * ratio * 16), 8), 1, -1, cv2.LINE_8, 4)


def _fixed(place: Floats) -> tuple[int, int]:
    """Coordinates with four fractional bits as cv2 draws them."""
    x, y = np.rint((place - 0.5) * 16).astype(int)
    return int(x), int(y)


def _palm_and_forearm(mask: Mask, hand: Hand, segments: list[Segment], fat: float) -> None:
    """Add the palm, the webs between fingers, wrist and forearm, each a hull with its skin."""
    ratio = mask.shape[0] / hand.size
    px = hand.px
    carpals = np.concatenate(hand.outlines[19:27])
    forearm = [hand.outlines[RADIUS], hand.outlines[ULNA]]
    near = [bone[bone[:, 1] < bone[:, 1].min() + 220 * px] for bone in forearm]
    palm = np.concatenate([hand.outlines[bone] for bone in (2, 6, 10, 14, 18)])
    _hull(mask, np.concatenate([palm, carpals]), PALM_RADIUS * fat * px, ratio)
    _hull(mask, np.concatenate([carpals, *near]), WRIST_RADIUS * fat * px, ratio)
    _hull(mask, np.concatenate(forearm), FOREARM_RADIUS * fat * px, ratio)
    for first, second in ((5, 9), (9, 13), (13, 17)):
        corners = []
        for bone in (first, second):
            rod = segments[bone]
            corners += [rod.proximal, rod.proximal + WEB * (rod.distal - rod.proximal)]
        _hull(mask, np.stack(corners).astype(np.float32), 12 * px, ratio)


def _hull(mask: Mask, points: Floats, radius: float, ratio: float) -> None:
    hull = cv2.convexHull(points.astype(np.float32))[:, 0]
    fixed = np.rint((hull * ratio - 0.5) * 16).astype(np.int32)
    wide = max(round(2 * radius * ratio), 1)
    cv2.fillPoly(mask, [fixed], 1, cv2.LINE_8, 4)
    cv2.polylines(mask, [fixed], isClosed=True, color=1, thickness=wide, shift=4)


def _rounded(mask: Mask, sigma: float) -> Mask:
    """Round corners and webs by blurring and thresholding a little under a half."""
    return (blurred(mask, sigma) > ROUNDED).astype(np.uint8)


def tissue_attenuation(hand: Hand, rng: np.random.Generator, grid: int) -> tuple[Floats, Mask]:
    """Return (grid, grid) the attenuation of the flesh and the 0 or 1 mask of where it is."""
    fat = float(rng.uniform(0.8, 1.25))
    mask = tissue_mask(hand, grid, fat)
    unit = grid * hand.zoom / 2048
    reach = round(DEEPEST * unit)
    padded = cv2.copyMakeBorder(mask, 0, reach, 0, 0, cv2.BORDER_REPLICATE)
    depth = np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[:grid], dtype=np.float32)
    cap = DEEPEST * fat * unit
    wide = max(2 * (int(cap) // 2) + 1, 3)
    grown = cv2.dilate(np.minimum(depth, cap), np.ones((wide, wide), np.uint8))
    radius = np.maximum(blurred(grown, cap / 4), 1e-3)
    inner = np.minimum(depth, radius)
    thickness = np.sqrt(inner * (2 * radius - inner)) * np.float32(1 / unit)
    thickness += _bulges(hand, rng, grid, fat) * mask
    thickness *= np.float32(2 * rng.uniform(0.0011, 0.0024))
    return blurred(thickness, 6.0 * unit), mask


def _bulges(hand: Hand, rng: np.random.Generator, grid: int, fat: float) -> Floats:
    """Return (grid, grid) the extra px of half thickness of thenar, hypothenar and muscles."""
    px = grid / hand.size
    bulge = np.zeros((grid, grid), np.float32)
    thenar = (hand.outlines[2].mean(axis=0) + hand.outlines[6].mean(axis=0)) / 2
    hypothenar = hand.outlines[18].mean(axis=0)
    for place, radius in ((thenar, 150.0), (hypothenar, 120.0)):
        size = radius * float(rng.uniform(0.8, 1.2)) * fat * grid * hand.zoom / 2048
        height = float(rng.uniform(10.0, 55.0))
        centre = _fixed(np.asarray(place * px, dtype=np.float32))
        patch = np.zeros((grid, grid), np.uint8)
        cv2.circle(patch, centre, max(round(size * 16), 8), 255, -1, cv2.LINE_8, 4)
        soft = blurred(patch, size * float(rng.uniform(0.12, 0.5)))
        bulge += soft * np.float32(height / 255)
    return bulge + 7.0 * clouds(rng, 12, grid, grid)
