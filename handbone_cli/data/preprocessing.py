"""What happens to every image alike, before any warp: grey depth, CLAHE, reduction, normalising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np

from handbone_cli.data import geometry
from handbone_cli.errors import HandboneError
from handbone_cli.files import digest_json
from handbone_cli.host.interfaces import PreprocessContext

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Preprocessor
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import Box
    from handbone_cli.recipe.schema import Clahe, Data, Recipe

Grey: TypeAlias = "NDArray[np.uint8]"
"""(h, w), or (h, w, c) where a preprocessor makes channels."""

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
MOST_CHANNELS = 4
"""cv2 warps no more at once."""
VERSION = 1
"""Of the arithmetic in this module; part of every cache key."""


@dataclass(frozen=True)
class Frame:
    """Where an image as the network sees it lies in the image as decoded, and its normalising.

    Attributes:
        size: (H, W) of the image as decoded.
        crop: the part of it that the network sees.
        target: (h, w) of that part as the network sees it.
        mean: per channel, subtracted from grey / 255.
        std: per channel, then divided by.
    """

    size: tuple[int, int]
    crop: Box
    target: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @property
    def shown(self) -> tuple[int, int]:
        """(h, w) of the crop in the image's own pixels."""
        return self.crop[1] - self.crop[0], self.crop[3] - self.crop[2]

    @property
    def block(self) -> int:
        """The side of the blocks that were averaged."""
        return block_size(self.shown, self.target)

    @property
    def reduced(self) -> tuple[int, int]:
        """(h, w) once blocks are averaged; the last ones are padded."""
        return -(-self.shown[0] // self.block), -(-self.shown[1] // self.block)

    @property
    def to_reduced(self) -> NDArray[np.float64]:
        """(2, 3) from the image as the network sees it to the one whose blocks are averaged."""
        return geometry.compose(
            geometry.scaling(1 / self.block, 1 / self.block),
            geometry.between(self.target, self.shown),
        )

    @property
    def to_image(self) -> NDArray[np.float64]:
        """(2, 3) from the image as the network sees it to the image as decoded."""
        return geometry.compose(
            geometry.translation(self.crop[2], self.crop[0]),
            geometry.between(self.target, self.shown),
        )


@dataclass(frozen=True)
class PreparedImage:
    """A whole image, ready to be warped.

    Attributes:
        grey: frame.reduced, with a last axis (c) where a preprocessor makes channels; uint8 after
            CLAHE and preprocessors, its blocks averaged where the recipe resizes.
        frame: where that lies in the image as decoded.
    """

    grey: Grey
    frame: Frame


@dataclass(frozen=True)
class Preprocessing:
    """A recipe's preprocessing, from a decoded image to a PreparedImage; constant in a run.

    Attributes:
        data: the recipe's section.
        steps: preprocessor plugins, applied to the whole image after CLAHE.
        digest: of everything that the result depends on beside the image.
    """

    data: Data
    steps: tuple[Preprocessor, ...] = ()
    digest: str = ""

    @classmethod
    def of(cls, recipe: Recipe, registry: Registry) -> Preprocessing:
        """The preprocessing that a recipe names.

        Raises:
            HandboneError: wrong options, or more channels than can be warped at once.
        """
        context = PreprocessContext()
        steps = tuple(
            registry.build("preprocessors", section.name, section.options, context)
            for section in recipe.preprocess
        )
        sources = [registry.get("preprocessors", section.name) for section in recipe.preprocess]
        chosen = recipe.data.model_dump(include={"clahe", "normalize", "resize"}, mode="json")
        plugins = [
            [section.model_dump(mode="json"), source.distribution, source.version]
            for section, source in zip(recipe.preprocess, sources, strict=True)
        ]
        found = cls(recipe.data, steps, digest_json([VERSION, cv2.__version__, chosen, plugins]))
        if found.channels > MOST_CHANNELS:
            raise HandboneError(
                f"preprocess: makes {found.channels} channels; at most {MOST_CHANNELS} can be "
                "warped at once; take one preprocessor that makes channels."
            )
        return found

    @property
    def channels(self) -> int:
        """Input channels of the network."""
        count = 1
        for step in self.steps:
            count = step.channels(count)
        return count

    def __call__(self, image: NDArray[Any]) -> PreparedImage:
        """Decode's output -> 8 bit -> CLAHE on the whole image -> preprocessors -> reduced."""
        size = (int(image.shape[0]), int(image.shape[1]))
        grey = to_uint8(image)
        if self.data.clahe:
            grey = equalise(grey, self.data.clahe)
        crop: Box = (0, size[0], 0, size[1])
        for step in self.steps:
            grey, (y0, y1, x0, x1) = step(grey)
            crop = (crop[0] + y0, crop[0] + y1, crop[2] + x0, crop[2] + x1)
        target = target_size((grey.shape[0], grey.shape[1]), self.data.resize)
        mean, std = statistics(grey, self.data.normalize)
        return PreparedImage(reduce_by_area(grey, target), Frame(size, crop, target, mean, std))

    def frame_of(self, size: tuple[int, int]) -> Frame | None:
        """The frame of an image of (H, W) where its pixels have no say in it, else None."""
        if self.steps or self.data.normalize != "imagenet":
            return None
        mean, std = statistics(np.zeros((1, 1), np.uint8), "imagenet")
        target = target_size(size, self.data.resize)
        return Frame(size, (0, size[0], 0, size[1]), target, mean, std)


def to_uint8(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Grey of any depth as 8 bit: 16-bit images are stretched from their own least to largest."""
    if image.dtype == np.uint8:
        return image
    low, high = float(image.min()), float(image.max())
    scaled = (image.astype(np.float32) - low) * (255.0 / max(high - low, 1.0))
    return np.asarray(np.rint(scaled), np.uint8)


def equalise(grey: NDArray[np.uint8], clahe: Clahe) -> NDArray[np.uint8]:
    """CLAHE on the whole image (H, W)."""
    tiles = (clahe.tiles, clahe.tiles)
    return np.asarray(cv2.createCLAHE(clahe.clip_limit, tiles).apply(grey), np.uint8)


def target_size(size: tuple[int, int], resize: int | None) -> tuple[int, int]:
    """(h, w) with the longer side brought to `resize`, aspect kept; the size itself for None."""
    if resize is None:
        return size
    factor = resize / max(size)
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def block_size(size: tuple[int, int], target: tuple[int, int]) -> int:
    """The side of the blocks that are averaged on the way from (H, W) to (h, w)."""
    return max(1, min(size[0] // max(target[0], 1), size[1] // max(target[1], 1)))


def reduce_by_area(grey: Grey, target: tuple[int, int]) -> Grey:
    """Average whole blocks of pixels while the image is at least twice the target.

    One bilinear warp that shrinks by more than two would alias; what is left to it is under two.
    """
    block = block_size((grey.shape[0], grey.shape[1]), target)
    if block < 2:
        return grey
    height, width = (-(-side // block) * block for side in grey.shape[:2])
    padded = cv2.copyMakeBorder(
        grey, 0, height - grey.shape[0], 0, width - grey.shape[1], cv2.BORDER_REPLICATE
    )
    reduced = cv2.resize(padded, (width // block, height // block), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.uint8)


def statistics(grey: Grey, normalize: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """(mean, std) per channel to subtract and divide by, in units of grey / 255.

    Grey takes the average of ImageNet's three channels, three channels take each their own.
    """
    channels = 1 if grey.ndim == 2 else grey.shape[2]
    if normalize == "imagenet":
        if channels == 3:
            return IMAGENET_MEAN, IMAGENET_STD
        return (sum(IMAGENET_MEAN) / 3,) * channels, (sum(IMAGENET_STD) / 3,) * channels
    planes = [grey] if grey.ndim == 2 else list(np.moveaxis(grey, 2, 0))
    pairs = [_own_statistics(np.ascontiguousarray(plane), normalize) for plane in planes]
    return tuple(mean for mean, _ in pairs), tuple(std for _, std in pairs)


def _own_statistics(plane: NDArray[np.uint8], normalize: str) -> tuple[float, float]:
    if normalize == "zscore":
        mean, std = cv2.meanStdDev(plane)
        return float(mean[0, 0]) / 255, max(float(std[0, 0]) / 255, 1e-3)
    low, high = np.percentile(plane, (1, 99))
    return float(low) / 255, max(float(high - low) / 255, 1e-3)


def normalise(grey: Grey, mean: tuple[float, ...], std: tuple[float, ...]) -> NDArray[np.float32]:
    """(h, w) or (h, w, c) uint8 -> (c, h, w) float32 (grey / 255 - mean) / std."""
    planes = grey[None] if grey.ndim == 2 else np.moveaxis(grey, 2, 0)
    result = np.empty(planes.shape, np.float32)
    for channel, plane in enumerate(planes):
        np.subtract(plane, np.float32(255 * mean[channel]), out=result[channel])
        result[channel] *= np.float32(1 / (255 * std[channel]))
    return result
