"""What happens to every image alike, before any warp: grey depth, CLAHE, reduction, normalising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from handbone_cli.data import geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.recipe.schema import Data

IMAGENET_MEAN = (0.485 + 0.456 + 0.406) / 3
IMAGENET_STD = (0.229 + 0.224 + 0.225) / 3


@dataclass(frozen=True)
class PreparedImage:
    """A whole image, ready to be warped.

    Attributes:
        grey: (h, w) uint8 after CLAHE, reduced by a whole factor where the recipe resizes.
        size: (H, W) of the image as decoded.
        target: (h, w) of the image as the network sees it.
        mean: subtracted from grey / 255.
        std: then divided by.
    """

    grey: NDArray[np.uint8]
    size: tuple[int, int]
    target: tuple[int, int]
    mean: float
    std: float

    @property
    def to_grey(self) -> NDArray[np.float64]:
        """(2, 3) from the image as the network sees it to `grey`; its last block may be padded."""
        block = block_size(self.size, self.target)
        return geometry.compose(
            geometry.scaling(1 / block, 1 / block), geometry.between(self.target, self.size)
        )


def to_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey of any depth as 8 bit: 16-bit images are stretched from their own least to largest."""
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    scaled = (image.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))
    return np.asarray(np.rint(scaled), np.uint8)


def target_size(size: tuple[int, int], resize: int | None) -> tuple[int, int]:
    """(h, w) with the longer side brought to `resize`, aspect kept; the size itself for None."""
    if resize is None:
        return size
    factor = resize / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def block_size(size: tuple[int, int], target: tuple[int, int]) -> int:
    """The side of the blocks that are averaged on the way from (H, W) to (h, w)."""
    return max(1, min(size[0] // max(target[0], 1), size[1] // max(target[1], 1)))


def reduce_by_area(grey: NDArray[np.uint8], target: tuple[int, int]) -> NDArray[np.uint8]:
    """Average whole blocks of pixels while the image is at least twice the target.

    One bilinear warp that shrinks by more than two would alias; what is left to it is under two.
    """
    block = block_size((grey.shape[0], grey.shape[1]), target)
    if block < 2:
        return grey
    height, width = (-(-side // block) * block for side in grey.shape)
    padded = cv2.copyMakeBorder(
        grey, 0, height - grey.shape[0], 0, width - grey.shape[1], cv2.BORDER_REPLICATE
    )
    reduced = cv2.resize(padded, (width // block, height // block), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.uint8)


def statistics(grey: NDArray[np.uint8], normalize: str) -> tuple[float, float]:
    """(mean, std) to subtract and divide by, in units of grey / 255."""
    if normalize == "imagenet":
        return IMAGENET_MEAN, IMAGENET_STD
    if normalize == "zscore":
        mean, std = cv2.meanStdDev(grey)
        return float(mean[0, 0]) / 255, max(float(std[0, 0]) / 255, 1e-3)
    low, high = np.percentile(grey, (1, 99))
    return float(low) / 255, max(float(high - low) / 255, 1e-3)


def prepare(image: NDArray[Any], data: Data) -> PreparedImage:
    """Decode's output -> 8 bit -> CLAHE on the whole image -> reduced; constant in a run."""
    grey = to_uint8(image)
    if data.clahe:
        tiles = (data.clahe.tiles, data.clahe.tiles)
        grey = np.asarray(cv2.createCLAHE(data.clahe.clip_limit, tiles).apply(grey), np.uint8)
    target = target_size((image.shape[0], image.shape[1]), data.resize)
    mean, std = statistics(grey, data.normalize)
    return PreparedImage(
        reduce_by_area(grey, target), (image.shape[0], image.shape[1]), target, mean, std
    )


def normalise(grey: NDArray[np.uint8], mean: float, std: float) -> NDArray[np.float32]:
    """(h, w) uint8 -> float32 (grey / 255 - mean) / std."""
    centred = grey.astype(np.float32) - np.float32(255 * mean)
    return np.asarray(centred * np.float32(1 / (255 * std)), np.float32)
