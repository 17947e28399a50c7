"""Outlying bones as small pictures: the bone outlined in its colour, its neighbours thinly."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.masks import clip_box

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import Box
    from handbone_cli.results.pictures import Colour

SIDE = 300
QUALITY = 80
AROUND = 0.6  # of the bone's longer side, on every side
LEAST = 0.16  # of the image's longer side: what is seen around a small bone
NEIGHBOUR: Colour = (96, 168, 200)
SHIFT = 4


def thumbnail(
    grey: NDArray[np.uint8],
    outlines: Mapping[int, Sequence[NDArray[np.float32]]],
    index: int,
    colour: Colour,
) -> str:
    """Draw one bone with what lies around it; a JPEG as data URI.

    Args:
        grey: (H, W) uint8.
        outlines: of all bones of the image, in pixels.
        index: the bone to show.
        colour: R, G, B of its outline.
    """
    box = _square_around(outlines[index], (grey.shape[0], grey.shape[1]))
    crop = grey[box[0] : box[1], box[2] : box[3]]
    scale = SIDE / max(crop.shape)
    small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    dimmed = _stretched(np.asarray(small, np.uint8))
    rgb = np.asarray(cv2.cvtColor(dimmed, cv2.COLOR_GRAY2RGB), np.uint8)
    for other, rings in outlines.items():
        if other != index:
            _draw(rgb, rings, box, scale, NEIGHBOUR, 1)
    _draw(rgb, outlines[index], box, scale, (0, 0, 0), 4)
    _draw(rgb, outlines[index], box, scale, colour, 2)
    bgr = cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR)
    _, content = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return "data:image/jpeg;base64," + base64.b64encode(content.tobytes()).decode()


def _square_around(rings: Sequence[NDArray[np.float32]], size: tuple[int, int]) -> Box:
    points = np.concatenate(rings)
    low, high = points.min(axis=0), points.max(axis=0)
    half = max(float((0.5 + AROUND) * (high - low).max()), LEAST * max(size) / 2, 4.0)
    x, y = (float(value) for value in (low + high) / 2)
    y0, x0 = (
        max(round(min(middle - half, side - 2 * half)), 0)
        for middle, side in ((y, size[0]), (x, size[1]))
    )
    length = round(2 * half)
    return clip_box((y0, y0 + length, x0, x0 + length), (0, size[0], 0, size[1]))


def _stretched(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Grey values from the 1st to the 99th percentile over the whole range, a little dimmed."""
    low, high = np.percentile(grey, (1, 99))
    scaled = (grey.astype(np.float32) - low) * (225.0 / max(float(high - low), 1.0))
    return np.asarray(np.clip(scaled, 0, 225), np.uint8)


def _draw(
    rgb: NDArray[np.uint8],
    rings: Sequence[NDArray[np.float32]],
    box: Box,
    scale: float,
    colour: Colour,
    width: int,
) -> None:
    corner = np.array([box[2], box[0]], np.float32)
    for ring in rings:
        points = np.rint((ring - corner + 0.5) * scale * 2**SHIFT).astype(np.int32)
        cv2.polylines(rgb, [points], True, colour, width, cv2.LINE_AA, SHIFT)  # noqa: FBT003  cv2's
