"""Owns how much X-ray the 29 bones take away: cortical tubes filled with trabecular bone.

Every bone is a tube around its own middle line. With d the distance to the outline and R the
local radius, a ray crosses 2 sqrt(d (2R - d)) of bone and, inside a cortex c thick,
2 sqrt((d - c)(2R - d - c)) of it is marrow space. So the shaft's cortex is bright and its canal
dark without being painted so. Sizes are in pixels at 2048 and scale with the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli import HAND_BONES
from handbone_datasets.hand_shapes import RADIUS, ULNA
from handbone_datasets.planes import add_patch, blurred, clouds, filled, resized

if TYPE_CHECKING:
    from handbone_datasets.hand_shapes import Hand
    from handbone_datasets.planes import Floats

COARSE = 4  # radius, cortex and density vary slowly: they are made on a grid this much coarser
THICK = 54.0  # px at 2048; a bone of more than this half width is deeper than wide no more
RIM = 20.0  # px at 2048 over which a bone's edge tapers, so that overlapping edges do not glare
INSIDE = 0.5  # coverage from which a pixel is bone
FINE = 1024  # px a side under which bones are drawn larger
TILE = 384  # side of the texture tile in pixels
FIRST_CARPAL = HAND_BONES.index("Trapezium")


@dataclass(frozen=True)
class BoneLook:
    """What differs between people and exposures.

    `cortex` and `trabeculae` are attenuations per px of path at 2048, `shaft_cortex` is the share
    of the radius that is cortex in mid-shaft, `end_cortex` the px of it at joints, `canal` what
    part of the trabecular density is left in the canal, `grain` the contrast of the trabeculae and
    `hardening` how far a beam of many energies falls short of adding up (it levels off at
    1 / hardening).
    """

    cortex: float
    trabeculae: float
    shaft_cortex: float
    end_cortex: float
    canal: float
    grain: float
    hardening: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> BoneLook:
        """Draw one person's bones."""
        return cls(
            cortex=float(rng.uniform(0.0135, 0.0200)),
            trabeculae=float(rng.uniform(0.0052, 0.0080)),
            shaft_cortex=float(rng.uniform(0.14, 0.26)),
            end_cortex=float(rng.uniform(1.7, 3.5)),
            canal=float(rng.uniform(0.25, 0.6)),
            grain=float(rng.uniform(0.07, 0.17)),
            hardening=float(rng.uniform(0.4, 0.8)),
        )

    @classmethod
    def draw_any(cls, rng: np.random.Generator) -> BoneLook:
        """Draw anybody's bones, from children's to those of the very old, at any tube voltage."""
        return cls(
            cortex=float(rng.uniform(0.009, 0.024)),
            trabeculae=float(rng.uniform(0.0015, 0.0085)),
            shaft_cortex=float(rng.uniform(0.10, 0.34)),
            end_cortex=float(rng.uniform(1.2, 4.5)),
            canal=float(rng.uniform(0.0, 0.75)),
            grain=float(rng.uniform(0.03, 0.30)),
            hardening=float(rng.uniform(0.2, 1.0)),
        )


def bone_attenuation(hand: Hand, rng: np.random.Generator, look: BoneLook | None = None) -> Floats:
    """Return (size, size) the attenuation (>= 0, natural logarithm) of all bones of a hand.

    Images under `FINE` pixels are drawn up to four times as large and averaged down: there a
    cortex is thinner than a pixel. `look` is drawn where it is not given.
    """
    look = look or BoneLook.draw(rng)
    times = min(max(FINE // hand.size, 1), 4)
    size = times * hand.size
    scale = times * hand.px
    texture = _texture(rng, scale)
    plane = np.zeros((size, size), np.float32)
    for bone, outline in enumerate(hand.outlines):
        corner, patch = _bone(bone, outline * np.float32(times), look, texture, scale, rng)
        add_patch(plane, patch, corner)
    bent = np.float32(look.hardening) * plane
    plane /= cv2.sqrt(1 + bent * bent)
    return plane if times == 1 else resized(plane, hand.size, hand.size)


def _bone(
    bone: int,
    outline: Floats,
    look: BoneLook,
    texture: Floats,
    scale: float,
    rng: np.random.Generator,
) -> tuple[tuple[int, int], Floats]:
    """Return a bone's corner (x, y) in the image and its attenuation on its own box."""
    corner, coverage = _coverage(outline)
    inside = (coverage > INSIDE).astype(np.uint8)
    depth = np.maximum(cv2.distanceTransform(inside, cv2.DIST_L2, 3) - np.float32(0.5), 0.0)
    wider = max(float(depth.max()) / (THICK * scale), 0.2)
    depth = np.minimum(depth, THICK * scale)
    axis, along, length = _along(outline, corner, coverage.shape)
    radius = _local_radius(depth)
    shaft = _shaft_share(bone, along, length, wider * THICK * scale)
    cortex = _cortex_thickness(radius, shaft, look, scale)
    density = look.trabeculae * (1 - shaft * (1 - look.canal)) * float(rng.normal(1.0, 0.05))
    density *= _joint_plates(bone, along, length, rng)
    height, width = coverage.shape
    wide = np.maximum(resized(radius, height, width), depth)
    cortex *= np.exp(0.20 * clouds(rng, 6, *cortex.shape))  # none is equally thick all around
    thin = np.minimum(resized(cortex, height, width), wide)
    fill = resized(density.astype(np.float32), height, width)
    fill *= 1 + look.grain * _turned(texture, axis, (width, height), rng)
    total = _crossed(depth, wide, thin, look.cortex, fill, RIM * scale)
    flat = float(rng.uniform(0.9, 1.0)) / scale * (wider**0.5 if wider > 1 else wider**-0.35)
    return corner, np.asarray(flat * total * coverage, dtype=np.float32)


def _crossed(
    depth: Floats, wide: Floats, thin: Floats, cortex: float, fill: Floats, rim: float
) -> Floats:
    """Return what a ray loses in shell and filling: (h, w), from distances in px.

    `depth` to the outline, `wide` the local radius, `thin` the shell, `rim` the taper.
    """
    outer = cv2.sqrt(depth * (2 * wide - depth))
    inner = cv2.sqrt(np.maximum((depth - thin) * (2 * wide - depth - thin), 0.0))
    inner[depth < thin] = 0.0
    shell = np.float32(2 * cortex) * (outer - inner)
    return np.asarray(shell + 2 * fill * inner * (depth / (depth + rim)), dtype=np.float32)


def _coverage(outline: Floats) -> tuple[tuple[int, int], Floats]:
    """Return the corner (x, y) of an outline's box and the share (h, w) of each pixel inside."""
    low = np.floor(outline.min(axis=0)).astype(int) - 3
    width, height = np.ceil(outline.max(axis=0)).astype(int) + 4 - low
    mask = filled(outline - low.astype(np.float32), int(height), int(width))
    return (int(low[0]), int(low[1])), mask.astype(np.float32) * np.float32(1 / 255)


def _along(
    outline: Floats, corner: tuple[int, int], shape: tuple[int, ...]
) -> tuple[Floats, Floats, float]:
    """Return a bone's unit axis (2,), the way along it from its distal end in px, its length.

    The way is (ceil(h / COARSE), ceil(w / COARSE)), towards the elbow.
    """
    centred = outline - outline.mean(axis=0)
    axis = np.linalg.svd(centred, full_matrices=False)[2][0].astype(np.float32)
    axis = axis if axis[1] >= 0 else -axis
    projected = outline @ axis
    rows = np.arange(0, shape[0], COARSE, dtype=np.float32) + corner[1] + COARSE / 2
    columns = np.arange(0, shape[1], COARSE, dtype=np.float32) + corner[0] + COARSE / 2
    along = rows[:, None] * axis[1] + columns[None, :] * axis[0] - projected.min()
    return axis, along.astype(np.float32), float(projected.max() - projected.min())


def _local_radius(depth: Floats) -> Floats:
    """Return half the local width in px on the coarse grid, from the distance to the outline."""
    height, width = (-(-side // COARSE) for side in depth.shape)
    small = resized(depth, height, width)
    reach = 2 * max(int(small.max() / COARSE * 1.2), 1) + 1
    return blurred(cv2.dilate(small, np.ones((reach, reach), np.uint8)), reach / 4)


def _shaft_share(bone: int, along: Floats, length: float, radius: float) -> Floats:
    """Return how much of a shaft a place is, 0 at the ends and in carpals to 1 in mid-shaft."""
    if FIRST_CARPAL <= bone < RADIUS:
        return np.zeros_like(along)
    if bone in (RADIUS, ULNA):
        return _smooth_step(along, 1.1 * radius, 3.6 * radius)
    distal = _smooth_step(along, 0.10 * length, 0.42 * length)
    proximal = _smooth_step(length - along, 0.10 * length, 0.46 * length)
    return distal * proximal


def _joint_plates(bone: int, along: Floats, length: float, rng: np.random.Generator) -> Floats:
    """Return the factor (coarse grid) of the denser bands across a finger bone's two ends."""
    near, far = rng.uniform(0.03, 0.09, 2) * length
    gain = rng.uniform(0.0, 0.55, 2)
    if bone >= FIRST_CARPAL:
        return np.ones_like(along)
    width = 0.022 * length
    distal = gain[0] * np.exp(-(((along - near) / width) ** 2))
    proximal = gain[1] * np.exp(-(((length - along - far) / width) ** 2))
    return np.asarray(1 + distal + proximal, dtype=np.float32)


def _smooth_step(values: Floats, low: float, high: float) -> Floats:
    share = np.clip((values - low) / max(high - low, 1e-6), 0.0, 1.0)
    return np.asarray(share * share * (3 - 2 * share), dtype=np.float32)


def _cortex_thickness(radius: Floats, shaft: Floats, look: BoneLook, scale: float) -> Floats:
    """Return the cortex in px on the coarse grid: a shell at joints, thick in mid-shaft."""
    end = look.end_cortex * scale
    middle = np.maximum(look.shaft_cortex * radius, end)
    return np.asarray(end + shaft * (middle - end), dtype=np.float32)


def _texture(rng: np.random.Generator, scale: float) -> Floats:
    """Return (TILE, TILE) band-limited noise of SD 1 whose grain runs along y, seamless."""
    noise = rng.standard_normal((TILE, TILE), dtype=np.float32)
    fine = max(1.15 * scale, 0.5)
    padded = np.asarray(cv2.copyMakeBorder(noise, 48, 48, 48, 48, cv2.BORDER_WRAP), np.float32)
    lines = _unit(blurred(padded, fine, 2.6 * fine))
    lines += 0.9 * _unit(blurred(padded[::-1], 1.6 * fine))
    lines -= blurred(lines, 5.0 * fine)
    mixed = _unit(lines) + 0.45 * _unit(blurred(padded[:, ::-1], 9.0 * fine))
    faint = np.float32(min(1.0, scale**0.3))
    return np.asarray(_unit(mixed[48:-48, 48:-48]) * faint, dtype=np.float32)


def _unit(noise: Floats) -> Floats:
    return np.ascontiguousarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def _turned(
    texture: Floats, axis: Floats, shape: tuple[int, int], rng: np.random.Generator
) -> Floats:
    """Return the texture on a box of `shape` (w, h), its grain turned along `axis`."""
    start = rng.uniform(0, TILE, 2)
    turn = np.array([[axis[1], -axis[0], start[0]], [axis[0], axis[1], start[1]]])
    return np.asarray(
        cv2.warpAffine(
            texture,
            turn,
            shape,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_WRAP,
        ),
        dtype=np.float32,
    )
