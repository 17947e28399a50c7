"""Owns drawing the outlines of the 29 bones of a hand that never was: shape, pose and placement.

The shapes come from `handbone_cli.ShapeModel`, a point distribution model measured on 288 real
hands; its frame and the origin of its figures are told there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from handbone_cli import HAND_BONES, ShapeModel

Floats = NDArray[np.float32]

RADIUS, ULNA = HAND_BONES.index("Radius"), HAND_BONES.index("Ulna")
SIDES = ("left", "right")

# Coefficients are in SDs. The 288 hands mix two groups, which a single Gaussian in the first mode
# (wrist bending) would miss: straight wrists, whose forearm hangs down (at -1.15), and bent ones.
# A share of 58 % bent, mean 0 and variance 1 over both leave +0.83 and 0.22 for the bent group.
# The straight group's two SDs (0.20 here, 0.45 in the second mode) were read off 24 of the hands;
# 1.25 is what they leave for the bent ones.
LIMIT = 2.5
STRAIGHT_BEND = (-1.15, 0.20)
BENT_BEND = (0.83, 0.22)
SPREAD_SD = (0.45, 1.25)  # second mode, spread fingers: straight hands, bent hands
# How much of a mode's variance both hands of a person share: chosen, not measured. The first
# seven modes are mostly pose, the last number is the size.
SHARED = np.array([0.0, 0.3, 0.3, 0.3, 0.3, 0.3, 0.3] + [0.7] * 13 + [0.95], dtype=np.float32)
# Chosen, so that areas and overlaps come out as measured and no forearm looks deformed.
TILT_SD = 2.5  # degrees, the hand in the image when the wrist is straight
LEAN_SD = 4.0  # degrees, the forearm in the image when the wrist is bent
BONE_SD = 0.0012  # units; what a bone moves by beyond the twenty modes
FOREARM = 1.12  # image sides from the top to where both forearm bones end
MARGIN = 56.0  # px at 2048 that stay free around the hand
FOREARM_OWN = 0.5  # share of a forearm bone's own shape that is kept, the rest is its group's
FOREARM_TURN = 0.12  # radians, the most that both forearm bones turn from their group's mean
WRIST_END = np.r_[0:7, 42:48]  # points of a forearm bone next to the carpals
SHAFT = (0.30, 0.62)  # part of a forearm bone's length whose axis is carried past the border


@dataclass(frozen=True)
class Hand:
    """Outlines of one hand in its image.

    `outlines` are 29 closed polygons (n, 2) of x, y in pixels, in class order, clockwise on the
    screen; coordinates are continuous with pixel centres at +0.5. Radius and Ulna reach below the
    lower border, all else is inside. `side` is "left" or "right", `bent` says that the wrist is.
    `zoom` is how large the hand is drawn, 1 as in the study's films.
    """

    outlines: tuple[Floats, ...]
    side: str
    size: int
    bent: bool
    zoom: float = 1.0

    @property
    def px(self) -> float:
        """Pixels here for a pixel of the study's films, whose side is 2048."""
        return self.size * self.zoom / 2048


@dataclass(frozen=True)
class HandShapes:
    """The shape model: `mean` (29, 48, 2) and `displacements` (20, 29, 48, 2) in units."""

    mean: Floats
    displacements: Floats
    unit_px: tuple[float, float]
    origin_px: Floats
    image_px: int

    @classmethod
    def load(cls) -> HandShapes:
        """Take the figures of the shape model; read once in a process."""
        return _load()

    def draw_body(self, rng: np.random.Generator) -> Floats:
        """Return (21,) what both hands of a person share, in SDs: twenty modes, then the size."""
        body = rng.standard_normal(len(self.displacements) + 1, dtype=np.float32)
        return np.clip(body, -LIMIT, LIMIT)

    def draw(
        self,
        rng: np.random.Generator,
        size: int = 2048,
        side: str = "left",
        body: NDArray[np.floating] | None = None,
        bent_share: float = 0.35,
        forearm: float = FOREARM,
    ) -> Hand:
        """Draw one hand; the same generator state gives the same anatomy at every size.

        Args:
            rng: the only source of chance.
            size: height and width of the image in pixels.
            side: "left" or "right"; one is the mirror image of the other.
            body: (21,) from `draw_body`, for the two hands of one person; drawn if missing.
            bent_share: probability of a bent wrist, 0 to 1.
            forearm: where radius and ulna end, in image sides from the top.
        """
        if side not in SIDES:
            raise ValueError(f"side must be one of {', '.join(SIDES)}, not {side!r}")
        shared = self.draw_body(rng) if body is None else np.asarray(body, dtype=np.float32)
        bent = bool(rng.random() < bent_share)
        coefficients = self._coefficients(rng, shared, bent=bent)
        shape = self.mean + np.tensordot(coefficients[:-1], self.displacements, axes=1)
        shape = shape + rng.normal(0.0, BONE_SD, (len(shape), 1, 2))
        shape = _calm_forearm(shape.astype(np.float32), self._typical(bent=bent))
        outlines = self._place(rng, shape, coefficients[-1], bent=bent, forearm=forearm)
        return Hand(_finish(outlines, side, size, self.image_px), side, size, bent)

    def _typical(self, *, bent: bool) -> Floats:
        """Return (29, 48, 2) the mean shape of the straight or of the bent hands."""
        bend = BENT_BEND[0] if bent else STRAIGHT_BEND[0]
        return np.asarray(self.mean + bend * self.displacements[0], dtype=np.float32)

    def _coefficients(self, rng: np.random.Generator, shared: Floats, *, bent: bool) -> Floats:
        """Mix what the person's hands share with what is this hand's own: (21,) in SDs."""
        own = rng.standard_normal(len(shared), dtype=np.float32)
        mixed = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        mixed = np.clip(mixed, -LIMIT, LIMIT)
        centre, spread = BENT_BEND if bent else STRAIGHT_BEND
        mixed[0] = centre + spread * mixed[0]
        mixed[1] = mixed[1] * SPREAD_SD[int(bent)]
        return mixed.astype(np.float32)

    def _place(
        self,
        rng: np.random.Generator,
        shape: Floats,
        size_sd: float,
        *,
        bent: bool,
        forearm: float,
    ) -> list[Floats]:
        """Turn, scale and move a shape in units into a right hand's image of `image_px`."""
        if bent:  # the forearm stays near upright, so it is the hand that leans
            tilt = _forearm_angle(shape) + np.radians(rng.normal(0.0, LEAN_SD))
        else:
            tilt = np.radians(rng.normal(0.0, TILT_SD))
        unit = self.unit_px[0] + self.unit_px[1] * float(size_sd)
        pixels = unit * _rotated(shape, float(tilt))
        origin = self.origin_px[0] + self.origin_px[1] * np.clip(
            rng.standard_normal(2), -LIMIT, LIMIT
        )
        pixels = pixels + _inside(pixels[:RADIUS], origin, self.image_px)
        far = float(self.image_px) * forearm
        bones = [_smooth(bone) for bone in pixels]
        for bone in (RADIUS, ULNA):
            bones[bone] = _extend(bones[bone], far)
        return bones


@lru_cache(maxsize=1)
def _load() -> HandShapes:
    model = ShapeModel.load()
    return HandShapes(
        mean=model.mean,
        displacements=model.displacements,
        unit_px=model.unit_px,
        origin_px=model.origin_px,
        image_px=model.image_px,
    )


def _forearm_angle(shape: Floats) -> float:
    """Angle in radians by which the forearm of a shape (29, n, 2) leaves +y towards +x."""
    x, y = _shaft_axis(shape[RADIUS]) + _shaft_axis(shape[ULNA])
    return float(np.arctan2(x, y))


def _calm_forearm(shape: Floats, typical: Floats) -> Floats:
    """Take back what straight modes do to bones that turn: forearms that swell or shrink.

    Radius and Ulna keep their wrist end where the modes put it, a bounded share of the turn and
    `FOREARM_OWN` of what else sets them apart from the group's mean.
    """
    fits = [_turn_onto(typical[bone], shape[bone]) for bone in (RADIUS, ULNA)]
    common = float(np.mean(fits))
    calm = np.array(shape, dtype=np.float32)
    for bone, fit in zip((RADIUS, ULNA), fits, strict=True):
        back = _rotated(shape[bone] - shape[bone].mean(axis=0), -fit)
        centred = typical[bone] - typical[bone].mean(axis=0)
        own = centred + FOREARM_OWN * (back - centred)
        angle = np.clip(common, -FOREARM_TURN, FOREARM_TURN)
        turned = _rotated(own, float(angle + np.clip(fit - common, -0.03, 0.03)))
        wrist = shape[bone][WRIST_END].mean(axis=0)
        calm[bone] = turned + wrist - turned[WRIST_END].mean(axis=0)
    return np.asarray(calm, dtype=np.float32)


def _turn_onto(source: Floats, target: Floats) -> float:
    """Angle in radians that best turns one outline (n, 2) onto another (Procrustes)."""
    a, b = source - source.mean(axis=0), target - target.mean(axis=0)
    return float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))


def _rotated(points: Floats, angle: float) -> Floats:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.asarray(points @ np.array([[cos, sin], [-sin, cos]]), dtype=np.float32)


def _long_axis(outline: Floats) -> Floats:
    """Unit vector (2,) along an outline's longest extent, pointing away from its first point."""
    centred = outline - outline.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0]
    return np.asarray(axis if centred[0] @ axis < 0 else -axis, dtype=np.float32)


def _shaft_axis(outline: Floats) -> Floats:
    """Unit vector (2,) of a forearm bone's shaft, towards the elbow."""
    axis = _long_axis(outline)
    along = outline @ axis
    near, far = along.min(), along.max()
    centres = []
    for share in SHAFT:
        level = near + share * (far - near)
        left, right = _crossings(outline, along, level)
        centres.append((left + right) / 2)
    shaft = centres[1] - centres[0]
    return np.asarray(shaft / np.linalg.norm(shaft), dtype=np.float32)


def _crossings(outline: Floats, along: Floats, level: float) -> tuple[Floats, Floats]:
    """Points (2,) where an outline goes below and where it comes back above `level`."""
    after = np.roll(along, -1)
    points = []
    for index in (
        int(np.flatnonzero((along < level) & (after >= level))[0]),
        int(np.flatnonzero((along >= level) & (after < level))[-1]),
    ):
        share = (level - along[index]) / (after[index] - along[index])
        following = outline[(index + 1) % len(outline)]
        points.append(outline[index] + share * (following - outline[index]))
    return points[0], points[1]


def _extend(outline: Floats, far: float) -> Floats:
    """Replace a forearm bone's cut end by its shaft carried on until y = `far` pixels.

    Each side leaves the outline in its own direction and turns parallel to the shaft.
    """
    shaft = _shaft_axis(outline)
    along = outline @ shaft
    length = along.max() - along.min()
    level = along.min() + SHAFT[1] * length
    ends = _crossings(outline, along, level)
    earlier = _crossings(outline, along, level - 0.08 * length)
    start = int(np.flatnonzero((along < level) & (np.roll(along, 1) >= level))[0])
    kept = np.roll(outline, -start, axis=0)[: int(np.count_nonzero(along < level))]
    sides = []
    for end, before in zip(ends, earlier, strict=True):
        way = end - before
        slope = way / (way @ shaft) - shaft
        reach = max((far - end[1]) / shaft[1], 1.0)
        steps = reach * np.linspace(0.0, 1.0, 17, dtype=np.float32)[:, None] ** 1.5
        turn = 0.2 * length
        sides.append(end + steps * shaft + slope * turn * (1 - np.exp(-steps / turn)))
    return np.asarray(np.concatenate([kept, sides[0], sides[1][::-1]]), dtype=np.float32)


def _inside(pixels: Floats, origin: NDArray[np.floating], image_px: int) -> Floats:
    """Shift `origin` (2,) so that hand and soft tissue (..., 2) stay inside the image."""
    low = MARGIN - pixels.min(axis=(0, 1))
    high = image_px - MARGIN - pixels.max(axis=(0, 1))
    middle = (low + high) / 2  # for a hand that is larger than the image
    return np.asarray(np.where(high < low, middle, np.clip(origin, low, high)), np.float32)


def _smooth(outline: Floats) -> Floats:
    """Double the points of a closed outline (n, 2) by the four-point Catmull-Rom midpoint."""
    before, after = np.roll(outline, 1, axis=0), np.roll(outline, -1, axis=0)
    second = np.roll(outline, -2, axis=0)
    middle = (9 * (outline + after) - before - second) / 16
    return np.stack([outline, middle], axis=1).reshape(-1, 2).astype(np.float32)


def _finish(bones: list[Floats], side: str, size: int, image_px: int) -> tuple[Floats, ...]:
    """Scale to the image; mirror a left hand and turn its points round to stay clockwise."""
    scale = np.float32(size / image_px)
    if side == "left":
        bones = [np.stack([image_px - bone[::-1, 0], bone[::-1, 1]], axis=1) for bone in bones]
    return tuple(np.ascontiguousarray(bone * scale, dtype=np.float32) for bone in bones)
