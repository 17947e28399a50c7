"""The preprocessor `hand_crop`: cut the image to the hand; nothing is resampled, nothing is lost.

The hand is the largest bright region once the image is small, blurred and split at Otsu's
threshold (Otsu, 1979). White bars at the border are left out first. Where that finds no region of
a plausible size, the whole image stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from pydantic import Field

from handbone_cli import Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli import PreprocessContext

Box = tuple[int, int, int, int]
SIDE = 256
"""Longer side of the image in which the hand is looked for, px."""


class HandCropOptions(Options):
    """Options of the preprocessor `hand_crop`."""

    margin: float = Field(0.05, ge=0, le=1, description="kept around the hand, in image sides")
    least: float = Field(
        0.05, gt=0, lt=1, description="least share of the image; a smaller find is no hand"
    )


class HandCrop:
    """(h, w) or (h, w, c) -> the part of it around the hand."""

    def __init__(self, options: HandCropOptions) -> None:
        self._options = options

    def __call__(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Box]:
        """Cut; the whole image where no hand is found."""
        grey = image if image.ndim == 2 else np.ascontiguousarray(image[..., 0])
        y0, y1, x0, x1 = find_hand(grey, self._options.least) or (
            0,
            grey.shape[0],
            0,
            grey.shape[1],
        )
        margin = round(self._options.margin * max(grey.shape))
        y0, x0 = max(y0 - margin, 0), max(x0 - margin, 0)
        y1, x1 = min(y1 + margin, grey.shape[0]), min(x1 + margin, grey.shape[1])
        return np.ascontiguousarray(image[y0:y1, x0:x1]), (y0, y1, x0, x1)

    def channels(self, given: int) -> int:
        """As many as there were."""
        return given


def find_hand(grey: NDArray[np.uint8], least: float) -> Box | None:
    """The box of the hand in (h, w), or None where nothing of a hand's size is bright."""
    factor = SIDE / max(grey.shape)
    size = max(1, round(grey.shape[1] * factor)), max(1, round(grey.shape[0] * factor))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    small = np.asarray(cv2.GaussianBlur(small, (5, 5), 0), np.uint8)
    bars = (small > 250).astype(np.uint8)  # collimated borders, which touch the rim
    small = np.where(_touching_rim(bars), np.uint8(0), small)
    _, bright = cv2.threshold(small, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    bright = cv2.morphologyEx(bright, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(np.asarray(bright, np.uint8))
    if count < 2:
        return None
    x, y, width, height, area = stats[1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))].tolist()
    if area < least * bright.size:
        return None
    y1, x1 = int(np.ceil((y + height) / factor)), int(np.ceil((x + width) / factor))
    return int(y / factor), min(y1, grey.shape[0]), int(x / factor), min(x1, grey.shape[1])


def _touching_rim(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """The parts of a mask (h, w) that reach its border along at least a quarter of a side."""
    _, parts = cv2.connectedComponents(mask)
    found = np.zeros(mask.shape, bool)
    for rim in (parts[0], parts[-1], parts[:, 0], parts[:, -1]):
        labels, counts = np.unique(rim[rim > 0], return_counts=True)
        found |= np.isin(parts, labels[counts >= len(rim) / 4])
    return found


def build(options: HandCropOptions, context: PreprocessContext) -> HandCrop:
    """Build the preprocessor."""
    return HandCrop(options)
