"""One image and its labels to figures: areas, centroids, overlaps, grey values, outlines."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.anatomy.pose import pose_of
from handbone_cli.data.preprocessing import to_uint8
from handbone_cli.dataset_figures import GREY_KINDS, ImageFigures
from handbone_cli.errors import HandboneError
from handbone_cli.masks import EMPTY, PackedMask, clip_box, union_box

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Labels, Sample
    from handbone_cli.masks import Box

GRID = 160
"""Steps of an outline along the longer side of the image."""

SHIFT = 4
"""Bits of a step's fraction, as cv2.fillPoly takes them."""


@dataclass(frozen=True)
class Measurement:
    """What one image adds to the figures of its dataset.

    Attributes:
        figures: its own; None where it could not be read.
        problems: what was wrong with its files, one sentence each.
        overlaps: (a, b) with a < b -> intersection over union of two bones that share a pixel.
        grey: (3, 256) pixels of every grey value by number of labels, as in GREY_KINDS.
        outlines: class -> (n, 2) int16, around the centroid, in 1 / 2**SHIFT steps of GRID.
    """

    figures: ImageFigures | None
    problems: tuple[str, ...] = ()
    overlaps: dict[tuple[int, int], float] = field(default_factory=dict)
    grey: NDArray[np.int64] | None = None
    outlines: dict[int, NDArray[np.int16]] = field(default_factory=dict)


def measure_image(job: tuple[str, Sample], class_names: Sequence[str]) -> Measurement:
    """Measure one (split, sample); a file that cannot be read becomes a problem, not an error."""
    split, sample = job
    try:
        image = sample.read_image()
    except HandboneError as error:
        return Measurement(None, (str(error),))
    size, bits = (image.shape[0], image.shape[1]), 8 * image.dtype.itemsize
    bare = ImageFigures(sample.image_id, sample.person, split, size, bits, side=sample.side)
    if sample.read_labels is None:
        return Measurement(bare)
    where = str(sample.labels_path or sample.path or sample.image_id)
    try:
        labels = _checked(sample.read_labels(), bare, where)
        return _measure_labels(bare, image, labels, class_names, where)
    except HandboneError as error:
        return Measurement(bare, (str(error),))


def _checked(labels: Labels, image: ImageFigures, where: str) -> Labels:
    """Labels of an image, if they are of its size; `where` they are from."""
    if isinstance(labels, PackedMask) and labels.size != image.size:
        raise HandboneError(
            f"{where}: the masks are {labels.size[1]} x {labels.size[0]}, the image is "
            f"{image.size[1]} x {image.size[0]}; expected the same size."
        )
    return labels


def _measure_labels(
    bare: ImageFigures, image: NDArray[Any], labels: Labels, class_names: Sequence[str], where: str
) -> Measurement:
    mask = PackedMask.from_labels(labels, bare.size, len(class_names))
    boxes = mask.boxes()
    crops = [np.asarray(mask.crop(i, box), np.uint8) for i, box in enumerate(boxes)]
    areas = np.array([np.count_nonzero(crop) for crop in crops], np.int64)
    if not areas.any():
        raise HandboneError(f"{where}: the labels hold none of the bones.")
    centroids = np.array([_centroid(c, b) for c, b in zip(crops, boxes, strict=True)])
    around = union_box(boxes)
    labels_at = _count_labels(crops, boxes, around)
    pose = pose_of(labels, class_names)
    side = bare.side or (pose.side if pose else None)
    figures = ImageFigures(
        bare.image_id,
        bare.person,
        bare.split,
        bare.size,
        bare.bits,
        areas,
        centroids,
        _layers(labels_at, bare.pixels),
        side,
        pose.bend if pose else None,
        pose.bent if pose else False,
    )
    return Measurement(
        figures,
        overlaps=_overlaps(mask, boxes, areas),
        grey=_grey_histograms(to_uint8(image), labels_at, around),
        outlines=_outlines(crops, boxes, centroids, max(bare.size), mirrored=side == "left"),
    )


def _centroid(crop: NDArray[np.uint8], box: Box) -> tuple[float, float]:
    """x, y in pixel indices of the image; NaN of an empty crop."""
    if box == EMPTY:
        return np.nan, np.nan
    found = cv2.moments(crop, binaryImage=True)
    return found["m10"] / found["m00"] + box[2], found["m01"] / found["m00"] + box[0]


def _count_labels(
    crops: Sequence[NDArray[np.uint8]], boxes: Sequence[Box], around: Box
) -> NDArray[np.uint8]:
    """How many labels every pixel of a box has."""
    count = np.zeros((around[1] - around[0], around[3] - around[2]), np.uint8)
    for crop, (y0, y1, x0, x1) in zip(crops, boxes, strict=True):
        if crop.size:
            count[y0 - around[0] : y1 - around[0], x0 - around[2] : x1 - around[2]] += crop
    return count


def _layers(labels_at: NDArray[np.uint8], pixels: int) -> tuple[int, ...]:
    counts = np.bincount(labels_at.ravel())
    counts[0] += pixels - labels_at.size
    return tuple(int(count) for count in counts)


def _overlaps(
    mask: PackedMask, boxes: Sequence[Box], areas: NDArray[np.int64]
) -> dict[tuple[int, int], float]:
    found = {}
    for b in range(mask.classes):
        for a in range(b):
            shared = clip_box(boxes[a], boxes[b])
            if shared == EMPTY:
                continue
            both = np.count_nonzero(mask.crop(a, shared) & mask.crop(b, shared))
            if both:
                found[a, b] = float(both / (areas[a] + areas[b] - both))
    return found


def _grey_histograms(
    grey: NDArray[np.uint8], labels_at: NDArray[np.uint8], around: Box
) -> NDArray[np.int64]:
    y0, y1, x0, x1 = around
    inside = np.ascontiguousarray(grey[y0:y1, x0:x1])
    histograms = np.zeros((len(GREY_KINDS), 256), np.int64)
    histograms[0] = _histogram(grey)
    for kind, chosen in ((1, labels_at == 1), (2, labels_at > 1)):
        histograms[kind] = _histogram(inside, chosen.astype(np.uint8))
        histograms[0] -= histograms[kind]
    return histograms


def _histogram(grey: NDArray[np.uint8], mask: NDArray[np.uint8] | None = None) -> NDArray[np.int64]:
    counts = cv2.calcHist([grey], [0], mask, [256], [0, 256])
    return np.asarray(np.rint(counts.ravel()), np.int64)


def _outlines(
    crops: Sequence[NDArray[np.uint8]],
    boxes: Sequence[Box],
    centroids: NDArray[np.float64],
    longest: int,
    *,
    mirrored: bool,
) -> dict[int, NDArray[np.int16]]:
    """The largest part of every bone as an outline around its centroid, left hands mirrored."""
    steps = 2**SHIFT * GRID / longest * np.array([-1.0 if mirrored else 1.0, 1.0])
    found = {}
    for index, (crop, box) in enumerate(zip(crops, boxes, strict=True)):
        if box == EMPTY:
            continue
        contours, _ = cv2.findContours(crop, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        largest = cv2.approxPolyDP(max(contours, key=len), longest / 2048, closed=True)
        points = largest.reshape(-1, 2) + np.array([box[2], box[0]]) - centroids[index]
        found[index] = np.asarray(np.rint(points * steps), np.int16)
    return found
