"""Owns the steps on float32 planes that bones, flesh and film share: blur, resize, add a patch."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Mask = NDArray[np.uint8]

SMALLEST_SIGMA = 0.5  # pixels; below it a Gaussian kernel no longer smooths


def blurred(plane: NDArray[np.generic], sigma: float, sigma_y: float | None = None) -> Floats:
    """Return a plane (h, w) after a Gaussian of `sigma` pixels, across and (or) down."""
    sigmas = [max(sigma, SMALLEST_SIGMA), max(sigma if sigma_y is None else sigma_y, 0.5)]
    source = np.asarray(plane, dtype=np.float32)
    return np.asarray(cv2.GaussianBlur(source, (0, 0), sigmas[0], sigmaY=sigmas[1]), np.float32)


def resized(plane: Floats, height: int, width: int) -> Floats:
    """Return a plane at another size: by area where it shrinks, else linear."""
    shrinks = height < plane.shape[0] or width < plane.shape[1]
    way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (width, height), interpolation=way), dtype=np.float32)


def clouds(rng: np.random.Generator, cells: int, height: int, width: int) -> Floats:
    """Return (height, width) smooth noise of SD about 1 with `cells` cells a side."""
    noise = rng.standard_normal((cells, cells), dtype=np.float32)
    smooth = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(smooth, dtype=np.float32)


def add_patch(plane: Floats, patch: Floats, corner: tuple[int, int]) -> None:
    """Add a patch whose corner (x, y) may lie outside onto a plane, in place."""
    x, y = corner
    height, width = plane.shape
    top, left = max(y, 0), max(x, 0)
    bottom, right = min(y + patch.shape[0], height), min(x + patch.shape[1], width)
    if top < bottom and left < right:
        plane[top:bottom, left:right] += patch[top - y : bottom - y, left - x : right - x]


def filled(points: Floats, height: int, width: int) -> Mask:
    """Return (height, width) 0 to 255: how much of each pixel a polygon (n, 2) of x, y covers."""
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [np.rint((points - 0.5) * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    return mask
