"""The figures of a dataset: what its measuring hands to tables, JSON and pages."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTLYING = 3.5
"""From this modified z-score on a value is called outlying (Iglewicz and Hoaglin, 1993)."""

LEAST_IMAGES = 8
"""Of fewer there is no telling what is usual."""

GREY_KINDS = ("background", "one bone", "overlap")
"""Pixels with no label, one label, two or more."""


@dataclass(frozen=True)
class ImageFigures:
    """One radiograph, measured.

    Attributes:
        image_id: its name in the dataset.
        person: whose it is.
        split: 'train' or 'test'.
        size: (H, W) in pixels.
        bits: of a pixel, 8 or 16.
        areas: (C,) pixels of every class; None for an image without labels.
        centroids: (C, 2) x, y in pixel indices, NaN for a class that is not there; None likewise.
        layers: pixels with 0, 1, 2 ... labels; () without labels.
        side: 'left' or 'right' where it is known.
        bend: degrees of the wrist where both its sides are labelled.
        bent: whether that is called bent.
    """

    image_id: str
    person: str
    split: str
    size: tuple[int, int]
    bits: int
    areas: NDArray[np.int64] | None = None
    centroids: NDArray[np.float64] | None = None
    layers: tuple[int, ...] = ()
    side: str | None = None
    bend: float | None = None
    bent: bool = False

    @property
    def pixels(self) -> int:
        """H x W."""
        return self.size[0] * self.size[1]


@dataclass(frozen=True)
class OverlapFigures:
    """Pairs of classes over all labelled images; every matrix is (C, C) and symmetric.

    Attributes:
        together: images that have both.
        sharing: images in which the two share a pixel.
        iou: mean intersection over union where both are there; NaN for a pair never seen.
    """

    together: NDArray[np.int64]
    sharing: NDArray[np.int64]
    iou: NDArray[np.float64]

    @property
    def frequency(self) -> NDArray[np.float64]:
        """Share of the images with both in which they overlap; NaN for a pair never seen."""
        seen = np.where(self.together, self.together, 1)
        return np.where(self.together > 0, self.sharing / seen, np.nan)


@dataclass(frozen=True)
class GreyFigures:
    """Grey values as networks get them before CLAHE (16 bit stretched to 8).

    Attributes:
        shares: (3, 256) share of the pixels of a kind at every grey value, the mean over images.
        images: (3,) how many images have such pixels.
    """

    shares: NDArray[np.float64]
    images: NDArray[np.int64]

    def quantile(self, kind: int, part: float) -> int:
        """The grey value below which a part (0 to 1) of the pixels of a kind lies."""
        return int(np.searchsorted(np.cumsum(self.shares[kind]), part))


@dataclass(frozen=True)
class Correlation:
    """Pearson's r of two measures over people, with the fitted line y = slope x + intercept.

    Attributes:
        people: how many have both.
        r: -1 to 1.
        low: lower end of the 95 % interval.
        high: its upper end.
        certain: whether r differs from 0 at 5 % after Holm's correction for all bones compared.
    """

    people: int
    r: float
    low: float
    high: float
    slope: float
    intercept: float
    certain: bool = False


@dataclass(frozen=True)
class Ratio:
    """Men's mean area over women's, with its 95 % interval; `certain` as in Correlation."""

    women: int
    men: int
    ratio: float
    low: float
    high: float
    certain: bool = False


@dataclass(frozen=True)
class BodyFigures:
    """People's metadata against the area of their bones; (P,) arrays have NaN for the unknown.

    Attributes:
        persons: P names.
        sexes: 'female', 'male' or None for each.
        measures: 'age' (years), 'weight' (kg), 'height' (cm) -> (P,).
        area: (P,) area of all bones compared, the mean of a person's images.
        left_out: bones that are not in `area`, since image borders cut them.
        of_area: measure -> its correlation with `area`.
        of_height: for every class, its correlation with height.
        of_sex: for every class, men against women.
        without_record: people with images of whom the table says nothing.
    """

    persons: tuple[str, ...]
    sexes: tuple[str | None, ...]
    measures: dict[str, NDArray[np.float64]]
    area: NDArray[np.float64]
    left_out: tuple[str, ...]
    of_area: dict[str, Correlation | None]
    of_height: tuple[Correlation | None, ...]
    of_sex: tuple[Ratio | None, ...]
    without_record: tuple[str, ...]


@dataclass(frozen=True)
class Outlier:
    """A bone of an image that is unlike the others'.

    Attributes:
        image_id: the image.
        index: the class.
        area_z: robust z of its area, relative to the size of the hand; NaN where unjudged.
        distance: from where the other bones put it, in longer sides of the image; NaN likewise.
        distance_z: robust z of that distance to the power of 2/3, which is nearly normal.
    """

    image_id: str
    index: int
    area_z: float
    distance: float
    distance_z: float

    @property
    def score(self) -> float:
        """The larger of both, how unlike it is."""
        return float(np.nanmax([abs(self.area_z), self.distance_z]))


@dataclass(frozen=True)
class DatasetFigures:
    """Everything measured of a dataset.

    Attributes:
        name: what the user called it.
        class_names: C names.
        images: every readable image.
        outlines: class -> (n, 2) its mean outline around (0, 0), in longer sides of the image, of
            the `usual` images.
        bodies: None without metadata.
        outliers: the worst first.
        problems: one sentence for every file that could not be read.
    """

    name: str
    class_names: tuple[str, ...]
    images: tuple[ImageFigures, ...]
    overlaps: OverlapFigures
    grey: GreyFigures
    outlines: dict[int, NDArray[np.float64]]
    bodies: BodyFigures | None
    outliers: tuple[Outlier, ...]
    problems: tuple[str, ...]

    @property
    def labelled(self) -> tuple[ImageFigures, ...]:
        """The images with labels."""
        return tuple(image for image in self.images if image.areas is not None)

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """(H, W) -> images."""
        return Counter(image.size for image in self.images)

    @property
    def areas(self) -> NDArray[np.float64]:
        """(labelled images, C) pixels of every bone, NaN where it is not there."""
        areas = [image.areas for image in self.labelled if image.areas is not None]
        pixels = np.array(areas, np.float64).reshape(-1, len(self.class_names))
        return np.where(pixels > 0, pixels, np.nan)

    @property
    def shares(self) -> NDArray[np.float64]:
        """(labelled images, C) share of the image of every bone, NaN where it is not there."""
        pixels = np.array([image.pixels for image in self.labelled], np.float64)
        return self.areas / pixels[:, None]

    @property
    def usual(self) -> NDArray[np.bool_]:
        """(labelled images,) those that the mean outlines are of: straight wrists, if any."""
        straight = np.array([not image.bent for image in self.labelled], bool)
        return straight if straight.any() else ~straight

    @property
    def hand_centroids(self) -> NDArray[np.float64]:
        """(labelled images, C, 2) as `hand_points` gives them."""
        return np.array([hand_points(image) for image in self.labelled])


def hand_points(image: ImageFigures) -> NDArray[np.float64]:
    """The centroids of a labelled image from its middle, x, y in longer sides: (C, 2).

    Left hands are mirrored, so that all lie on one another.
    """
    assert image.centroids is not None
    height, width = image.size
    points = (image.centroids + 0.5 - np.array([width, height]) / 2) / max(height, width)
    return points * ((-1.0, 1.0) if image.side == "left" else (1.0, 1.0))
