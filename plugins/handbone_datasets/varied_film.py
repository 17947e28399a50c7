"""Owns films of any kind: what lies on them, how they are exposed, processed, cut and saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_datasets import film
from handbone_datasets.bone_attenuation import BoneLook, bone_attenuation
from handbone_datasets.no_hand import draw_no_hand
from handbone_datasets.planes import blurred, clouds, resized
from handbone_datasets.soft_tissue import tissue_attenuation
from handbone_datasets.varied_pose import open_growth_plates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_datasets.film_cut import FilmCut
    from handbone_datasets.planes import Floats, Mask
    from handbone_datasets.scene import Placed

# How often each thing is seen.
RING, SCREWS, CAST, MARKERS, TEXT = 0.15, 0.05, 0.07, 0.7, 0.3
SHARPENED, LINES, EQUALISED, UNSHARP = 0.6, 0.06, 0.35, 0.3
INVERTED, JPEG = 0.2, 0.3
LETTERS = "LRABCDEFGHKMNPSTXZ0123456789"
FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_PLAIN)


def render_any(hands: Sequence[Placed], size: int, rng: np.random.Generator, cut: FilmCut) -> Mask:
    """Return a film (size, size) uint8 of placed hands, of either polarity; or of no hand."""
    bones, flesh = np.zeros((2, size, size), np.float32)
    look = BoneLook.draw_any(rng)
    for placed in hands:
        own_bones, own_flesh = attenuations(placed, look, rng)
        bones += laid(own_bones, placed, size)
        flesh += laid(own_flesh, placed, size)
    if not hands:
        bones, flesh = draw_no_hand(size, rng)
    tissue = (flesh > 0.01).astype(np.uint8)
    flesh *= np.float32(np.exp(rng.normal(0.0, 0.45)))
    plane = bones + flesh + resized(film.background(rng, 64), size, size)
    _lay_things(plane, rng)
    plane = film.scatter(plane, float(rng.uniform(0.0, 0.45)))
    if rng.random() < SHARPENED:
        film.sharpen(plane, rng)
    if rng.random() < LINES:
        _add_grid(plane, rng)
    return _saved(_processed(film.develop(plane, tissue, bones, rng), rng), rng, cut)


def attenuations(placed: Placed, look: BoneLook, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return the (side, side) attenuations of a hand's bones and of all else on its canvas."""
    hand = placed.hand
    bones = bone_attenuation(hand, rng, look)
    if placed.child:
        open_growth_plates(bones, hand, rng)
    flesh, _ = tissue_attenuation(hand, rng, min(hand.size, max(128, hand.size // 3)))
    flesh = resized(flesh, hand.size, hand.size)
    if rng.random() < RING:
        film.add_ring(flesh, hand, rng)
    if rng.random() < SCREWS:
        _add_screws(flesh, hand.outlines[int(rng.integers(0, 29))], rng)
    if rng.random() < CAST:
        _add_cast(flesh, rng)
    return bones, flesh


def laid(plane: Floats, placed: Placed, size: int) -> Floats:
    """Return a canvas's plane on the film (size, size); the forearm goes on below the canvas."""
    matrix = placed.matrix.copy()
    matrix[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5  # cv2 counts from the centres of pixels
    laid = cv2.warpAffine(
        plane, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(laid, np.float32)


def _add_screws(plane: Floats, outline: Floats, rng: np.random.Generator) -> None:
    """Put a plate or a wire along a bone, with screws across it, in place."""
    centre = outline.mean(axis=0)
    axis = np.linalg.svd(outline - centre, full_matrices=False)[2][0]
    along = (outline - centre) @ axis
    half = min(float(np.ptp(along)) * float(rng.uniform(0.2, 0.45)), plane.shape[0] / 5)
    wide = max(round(half * float(rng.uniform(0.04, 0.2))), 1)
    metal = np.zeros(plane.shape, np.uint8)
    ends = [(centre + sign * half * axis).astype(int).tolist() for sign in (-1, 1)]
    cv2.line(metal, ends[0], ends[1], 255, wide, cv2.LINE_AA)
    for place in np.linspace(-0.8, 0.8, int(rng.integers(0, 6))):
        middle = centre + place * half * axis
        across = np.array([-axis[1], axis[0]]) * half * float(rng.uniform(0.15, 0.4))
        points = [(middle + sign * across).astype(int).tolist() for sign in (-1, 1)]
        cv2.line(metal, points[0], points[1], 255, max(wide // 2, 1), cv2.LINE_AA)
    plane += metal.astype(np.float32) * np.float32(rng.uniform(0.8, 2.5) / 255)


def _add_cast(plane: Floats, rng: np.random.Generator) -> None:
    """Wrap forearm and palm in plaster, in place: uneven, with the weave of its bandage."""
    side = plane.shape[0]
    rows = np.linspace(0, 1, side, dtype=np.float32)[:, None]
    start = float(rng.uniform(0.35, 0.65))
    covered = np.clip((rows - start) / 0.02, 0, 1) * (plane > 0.01)
    covered = blurred(covered.astype(np.float32), 0.03 * side)
    uneven = 1 + 0.25 * clouds(rng, 9, side, side) + 0.1 * clouds(rng, 60, side, side)
    plane += np.float32(rng.uniform(0.1, 0.5)) * covered * uneven


def _lay_things(plane: Floats, rng: np.random.Generator) -> None:
    """Lay lead letters, coins and wires anywhere on the film, in place; also onto fingers."""
    size = plane.shape[0]
    things = np.zeros((size, size), np.uint8)
    if rng.random() < MARKERS:
        for _ in range(int(rng.integers(1, 4))):
            text = "".join(rng.choice(list(LETTERS), int(rng.choice((1, 1, 1, 2, 5)))))
            _write(things, text, float(rng.uniform(0.03, 0.14)), rng)
    if rng.random() < 0.06:
        centre = rng.uniform(0, size, 2).astype(int).tolist()
        cv2.circle(things, centre, int(rng.uniform(0.01, 0.05) * size), 255, -1, cv2.LINE_AA)
    if rng.random() < 0.06:
        points = rng.uniform(0, size, (3, 2)).astype(np.int32)
        cv2.polylines(things, [points], isClosed=False, color=255, thickness=1)
    plane += things.astype(np.float32) * np.float32(rng.uniform(0.4, 2.6) / 255)


def _write(
    plane: Mask, text: str, height: float, rng: np.random.Generator, light: int = 255
) -> None:
    """Write a text of `height` image sides at a random place and turn, in place."""
    size = plane.shape[0]
    font = int(rng.choice(FONTS))
    stroke = max(round(size * height * float(rng.uniform(0.05, 0.2))), 1)
    scale = size * height / (21.0 if font != cv2.FONT_HERSHEY_PLAIN else 9.0)
    (wide, high), _ = cv2.getTextSize(text, font, scale, stroke)
    side = max(wide, high) + 4 * stroke + 4
    patch = np.zeros((side, side), np.uint8)
    corner = ((side - wide) // 2, (side + high) // 2)
    cv2.putText(patch, text, corner, font, scale, light, stroke, cv2.LINE_AA)
    angle = float(rng.choice((0, 0, 90, 180, 270)) + rng.normal(0, 8))
    if rng.random() < 0.15:
        patch = patch[:, ::-1].copy()  # the film lay the other way round
    x, y = rng.uniform(-0.2 * side, size - 0.8 * side, 2)
    turn = np.asarray(cv2.getRotationMatrix2D((side / 2, side / 2), angle, 1.0))
    turn[:, 2] += (x, y)
    np.maximum(plane, cv2.warpAffine(patch, turn, (size, size)), out=plane)


def _add_grid(plane: Floats, rng: np.random.Generator) -> None:
    """Add the lines of an anti-scatter grid, in place."""
    steps = np.arange(plane.shape[0], dtype=np.float32)
    lines = np.sin(steps * np.float32(2 * np.pi / rng.uniform(2.2, 7.0)))
    lines *= np.float32(rng.uniform(0.005, 0.04))
    plane += lines[None, :] if rng.random() < 0.5 else lines[:, None]


def _processed(grey: Mask, rng: np.random.Generator) -> Floats:
    """Do what sites, archives and people do with a film; grey is 0 to 1 then."""
    if rng.random() < EQUALISED:
        tiles = int(rng.integers(3, 13))
        grey = cv2.createCLAHE(float(rng.uniform(1, 6)), (tiles, tiles)).apply(grey)
    shown = grey.astype(np.float32) / 255
    if rng.random() < UNSHARP:
        soft = blurred(shown, float(rng.uniform(0.7, 6.0)))
        shown += np.float32(rng.uniform(0.2, 1.5)) * (shown - soft)
    if rng.random() < 0.25:
        shown = blurred(shown, float(rng.uniform(0.5, 1.6)))
    low, high = rng.uniform(-0.12, 0.15), rng.uniform(0.7, 1.2)
    if rng.random() < 0.4:
        shown = (shown - np.float32(low)) / np.float32(high - low)
    np.clip(shown, 0, 1, out=shown)
    shown **= np.float32(np.exp(rng.normal(0.0, 0.3)))
    return shown


def _saved(shown: Floats, rng: np.random.Generator, cut: FilmCut) -> Mask:
    """Cut a film (size, size) of 0 to 1, write on it, and save it."""
    cut.shut(shown)
    if rng.random() < INVERTED:
        shown = 1 - shown
    cut.cover(shown)
    grey = np.rint(shown * 255).astype(np.uint8)
    if rng.random() < TEXT:
        for _ in range(int(rng.integers(1, 4))):
            text = "".join(rng.choice(list(LETTERS), int(rng.integers(3, 14))))
            _write(grey, text, float(rng.uniform(0.02, 0.04)), rng, int(rng.integers(120, 256)))
    if rng.random() < JPEG:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(15, 90))]
        grey = cv2.imdecode(cv2.imencode(".jpg", grey, quality)[1], cv2.IMREAD_GRAYSCALE)
    return np.asarray(grey, np.uint8)
