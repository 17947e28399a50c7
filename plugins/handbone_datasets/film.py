"""Owns what the room adds to a radiograph: collimation, markers, ring, detector and window.

Everything works on attenuation (natural logarithm), bright where much is taken away, as
MONOCHROME2 shows it; `develop` turns it into grey values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_datasets.planes import add_patch, blurred, clouds, resized
from handbone_datasets.soft_tissue import finger_segments

if TYPE_CHECKING:
    from handbone_datasets.hand_shapes import Hand
    from handbone_datasets.planes import Floats, Mask

# How often each thing is seen.
PLATES, INITIALS, LONG_LETTERS = 0.35, 0.25, 0.3
SHUT, WHITE_BARS = 0.30, 0.12
SOFT = 0.2  # pixels; a blur under this is not worth doing
BONY = 0.05  # attenuation from which a pixel counts as bone
BRIGHT_RIMS, SIDE_BARS, TOP_BARS = 0.5, 0.7, 0.3

RINGED = (9, 9, 13, 13, 13, 5, 17)  # proximal phalanges; the ring finger most often


@dataclass(frozen=True)
class Field:
    """The part of the image that the collimator leaves open: `left`, `right` and `top` in px."""

    left: int
    right: int
    top: int

    @classmethod
    def draw(cls, hand: Hand, rng: np.random.Generator) -> Field:
        """Draw a field that leaves hand and skin free; it is open below."""
        every = np.concatenate(hand.outlines)
        skin = 75 * hand.size / 2048
        low, high = every.min(axis=0) - skin, every.max(axis=0) + skin
        shares = rng.uniform(0.0, 0.9, 3)
        left = max(int(low[0] * shares[0]), 0)
        right = hand.size - max(int((hand.size - high[0]) * shares[1]), 0)
        return cls(left, right, max(int(low[1] * shares[2]), 0))


def add_ring(plane: Floats, hand: Hand, rng: np.random.Generator) -> None:
    """Put a metal band around a proximal phalanx, a narrow ellipse as it is seen from the side."""
    segment = finger_segments(hand)[int(rng.choice(RINGED))]
    px = hand.px
    way = segment.proximal - segment.distal
    centre = segment.distal + float(rng.uniform(0.45, 0.62)) * way
    half = segment.half_width * float(rng.uniform(1.45, 1.75))
    height = max(float(rng.uniform(5.0, 16.0)) * px, 0.6)
    reach = int(half + 20 * px) + 4
    x, y = (int(value) - reach for value in centre)
    patch = np.zeros((2 * reach, 2 * reach), np.uint8)
    place = np.rint((centre - [x, y] - 0.5) * 16).astype(int)
    axes = (round(half * 16), round(height * 16))
    angle = float(np.degrees(np.arctan2(way[1], way[0]))) + 90
    width = max(round(float(rng.uniform(6.0, 13.0)) * px), 1)
    cv2.ellipse(patch, place.tolist(), axes, angle, 0, 360, 255, width, cv2.LINE_AA, 4)
    metal = patch.astype(np.float32) * np.float32(rng.uniform(1.2, 2.6) / 255)
    add_patch(plane, metal, (x, y))


def add_marker(
    plane: Floats, hand: Hand, tissue: Mask, field: Field, rng: np.random.Generator
) -> None:
    """Lay a lead letter for the side into the field where no tissue is; or leave it out."""
    patch = _marker(hand, rng)
    place = _free_place(patch.shape[0], hand.size, tissue, field, rng)
    if place is not None:
        add_patch(plane, patch, place)


def _marker(hand: Hand, rng: np.random.Generator) -> Floats:
    """Return (n, n) the attenuation of a turned marker: a letter, a plate, initials below."""
    side = max(int(rng.uniform(160, 270) * hand.size / 2048), 8)
    patch = np.zeros((side, side), np.uint8)
    plate, initials = rng.random() < PLATES, rng.random() < INITIALS
    if plate:
        cv2.rectangle(patch, (side // 4, side // 8), (side - side // 4, side - side // 8), 70, -1)
    letter = hand.side[0].upper()
    text = letter + "T" if rng.random() < LONG_LETTERS else letter
    height = float(rng.uniform(0.3, 0.42)) / len(text) ** 0.6
    _write(patch, text, height, 0.38 if initials else 0.5, rng)
    if initials:
        name = "".join(chr(int(code)) for code in rng.integers(65, 91, 2))
        _write(patch, name, 0.17, 0.72, rng)
    angle = float(rng.choice((0.0, 0.0, 0.0, 90.0, 180.0))) + float(rng.normal(0, 12))
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), angle, 0.85)
    turned = cv2.warpAffine(patch, turn, (side, side), flags=cv2.INTER_LINEAR)
    return np.asarray(turned * np.float32(rng.uniform(0.9, 2.6) / 255), dtype=np.float32)


def _write(patch: Mask, text: str, height: float, level: float, rng: np.random.Generator) -> None:
    """Write lead letters of `height` centred at `level`, both as shares of the patch's side."""
    side = patch.shape[0]
    font = int(rng.choice((cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX)))
    stroke = max(round(side * height * float(rng.uniform(0.12, 0.22))), 1)
    scale = side * height / 21.0  # capitals of these fonts are 21 px high at scale 1
    (width, high), _ = cv2.getTextSize(text, font, scale, stroke)
    corner = ((side - width) // 2, int(side * level + high / 2))
    cv2.putText(patch, text, corner, font, scale, 255, stroke, cv2.LINE_AA)


def _free_place(
    side: int, size: int, tissue: Mask, field: Field, rng: np.random.Generator
) -> tuple[int, int] | None:
    """Corner (x, y) of a square of `side` px in the field, off the tissue (grid, grid), or None."""
    ratio = tissue.shape[0] / size
    reach = int(side * ratio) + 2
    for _ in range(12):
        x = int(field.left + float(rng.random()) * max(field.right - field.left - side, 0))
        y = int(field.top + float(rng.random()) * max(0.9 * size - field.top - side, 0))
        row, column = int(y * ratio), int(x * ratio)
        if not tissue[row : row + reach, column : column + reach].any():
            return x, y
    return None


def background(rng: np.random.Generator, grid: int) -> Floats:
    """Return (grid, grid) uneven exposure: a tilt, broad clouds, a rise towards the borders."""
    ramp = np.linspace(-1, 1, grid, dtype=np.float32)
    tilt = rng.normal(0.0, 0.035, 2)
    plane = tilt[0] * ramp[:, None] + tilt[1] * ramp[None, :] + 0.008 * clouds(rng, 5, grid, grid)
    edge = np.abs(ramp) ** float(rng.uniform(3.0, 9.0))
    rise = float(rng.uniform(0.0, 0.22))
    return np.asarray(plane + rise * np.maximum(edge[:, None], edge[None, :]), dtype=np.float32)


def add_collimation(grey: Mask, field: Field, rng: np.random.Generator) -> None:
    """Shut the field beside the hand, in place: dark shutters, a bright rim, or white bars."""
    kind = rng.random()
    if kind < SHUT:
        _shut(grey, field, rng)
    elif kind < SHUT + WHITE_BARS:
        _white_bars(grey, field, rng)


def _shut(grey: Mask, field: Field, rng: np.random.Generator) -> None:
    left, right, top = field.left, field.right, field.top
    shade = int(rng.integers(0, 14))
    for strip in (grey[:, :left], grey[:, right:], grey[:top]):
        np.minimum(strip, shade, out=strip)
    if rng.random() < BRIGHT_RIMS:
        rim = max(round(float(rng.uniform(2, 9)) * grey.shape[0] / 2048), 1)
        light = int(rng.integers(15, 80))
        for strip in (grey[:, left : left + rim], grey[:, right - rim : right]):
            strip[:] = np.minimum(strip.astype(np.uint16) + light, 255)


def _white_bars(grey: Mask, field: Field, rng: np.random.Generator) -> None:
    size = grey.shape[0]
    bar = max(round(float(rng.uniform(6, 60)) * size / 2048), 1)
    white = int(rng.integers(200, 256))
    for strip in (grey[:, : min(bar, field.left)], grey[:, max(size - bar, field.right) :]):
        if rng.random() < SIDE_BARS:
            strip[:] = white
    if rng.random() < TOP_BARS:
        grey[: min(bar, field.top)] = white


def scatter(plane: Floats, share: float) -> Floats:
    """Return the attenuation seen behind stray light: the signal's blur is added to it.

    `share` is scattered over primary signal, 0 to 0.4.
    """
    signal = np.asarray(cv2.exp(-plane), dtype=np.float32)
    eighth = max(plane.shape[0] // 8, 1)
    stray = blurred(resized(signal, eighth, eighth), eighth / 24)
    signal += np.float32(share) * resized(stray, *plane.shape)
    return np.asarray(-cv2.log(signal * np.float32(1 / (1 + share))), dtype=np.float32)


def sharpen(plane: Floats, rng: np.random.Generator) -> None:
    """Do what a site's processing does, in place: compress broad contrast, lift detail."""
    eighth = max(plane.shape[0] // 8, 1)
    small = resized(plane, eighth, eighth)
    compress, lift = float(rng.uniform(0.0, 0.55)), float(rng.uniform(0.0, 0.5))
    edge = float(rng.uniform(0.0, 0.8))
    change = -compress * blurred(small, eighth / 14) - lift * blurred(small, eighth / 90)
    fine = blurred(plane, 3.0 * plane.shape[0] / 2048)
    plane *= np.float32(1 + lift + edge)
    plane += resized(change, *plane.shape) - np.float32(edge) * fine


def develop(plane: Floats, tissue: Mask, bones: Floats, rng: np.random.Generator) -> Mask:
    """Blur, add noise, choose a window, apply gamma: attenuation to grey (size, size).

    `tissue` (grid, grid) and `bones` (size, size) say where air and bone are, for the window.
    """
    size = plane.shape[0]
    soft = float(rng.uniform(0.5, 1.7)) * size / 2048
    if soft > SOFT:
        plane = blurred(plane, soft)
    low, high = _window(plane, tissue, bones, rng)
    shown = (plane - np.float32(low)) * np.float32(1 / (high - low))
    shown += _noise(size, rng) * (0.35 + 0.65 * np.clip(shown, 0.0, 1.0))
    np.clip(shown, 0.0, 1.0, out=shown)
    gamma = float(np.exp(rng.normal(-0.08, 0.25)))
    brightest = float(rng.uniform(0.78, 1.0)) * 255
    table = np.rint(np.linspace(0, 1, 1024) ** gamma * brightest).astype(np.uint8)
    return np.asarray(table[(shown * 1023).astype(np.uint16)], dtype=np.uint8)


def _window(
    plane: Floats, tissue: Mask, bones: Floats, rng: np.random.Generator
) -> tuple[float, float]:
    """Attenuations shown black and white: just under the air's, about the densest bone's."""
    step = max(plane.shape[0] // 256, 1)
    few = plane[::step, ::step]
    air = few[cv2.resize(tissue, few.shape[::-1], interpolation=cv2.INTER_NEAREST) == 0]
    bone = few[bones[::step, ::step] > BONY]
    dark = float(np.percentile(air, 30)) if air.size else float(few.min())
    white = float(np.percentile(bone, 98)) if bone.size else float(few.max())
    span = max(white - dark, 1e-3)
    return dark + span * float(rng.uniform(-0.14, 0.05)), dark + span * float(
        rng.uniform(0.92, 1.35)
    )


def _noise(size: int, rng: np.random.Generator) -> Floats:
    """Return (size, size) slightly blurred noise of an SD of 2 to 12 % of the window."""
    strength = 0.02 + 0.10 * float(rng.beta(1.0, 4.0))
    noise = blurred(rng.standard_normal((size, size), np.float32), float(rng.uniform(0.5, 0.9)))
    noise *= np.float32(strength / noise[::8, ::8].std())
    return noise
