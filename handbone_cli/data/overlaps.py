"""How much any two classes overlap in labels: the share of an image's pixels that they share."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.bone_groups import Census
from handbone_cli.masks import EMPTY, PackedMask, clip_box

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.bone_groups import BoneGroups
    from handbone_cli.data.prepared import PreparedImages
    from handbone_cli.host.interfaces import Sample


def class_overlaps(
    samples: Sequence[Sample], images: PreparedImages, classes: int
) -> NDArray[np.float64]:
    """Mean share of an image's pixels, as decoded, that two classes share: (C, C), symmetric.

    The diagonal is 0. A preprocessor's crop counts for nothing.
    """
    total = np.zeros((classes, classes))
    for sample in samples:
        size = images.frame(sample).size
        mask = PackedMask.from_labels(images.labels(sample), size, classes)
        total += shared_areas(mask) / (size[0] * size[1])
    return total / max(len(samples), 1)


def bone_groups(samples: Sequence[Sample], images: PreparedImages, classes: int) -> BoneGroups:
    """The small classes and the overlapping pairs of labelled images, as decoded."""
    census = Census(classes)
    for sample in samples:
        size = images.frame(sample).size
        mask = PackedMask.from_labels(images.labels(sample), size, classes)
        census.add(mask.areas(), shared_areas(mask), size[0] * size[1])
    return census.groups()


def shared_areas(mask: PackedMask) -> NDArray[np.int64]:
    """Pixels that two classes of a mask share: (C, C), symmetric, with a diagonal of 0."""
    areas, boxes = np.zeros((mask.classes, mask.classes), np.int64), mask.boxes()
    for a, b in combinations(range(mask.classes), 2):
        common = clip_box(boxes[a], boxes[b])
        if common != EMPTY:
            both = mask.crop(a, common) & mask.crop(b, common)
            areas[a, b] = areas[b, a] = np.count_nonzero(both)
    return areas
