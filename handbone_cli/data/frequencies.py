"""How often each class is met: the share of an image's pixels, without decoding where possible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.masks import PackedMask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.data.prepared import PreparedImages
    from handbone_cli.host.interfaces import Sample


def polygon_area(points: NDArray[np.float32]) -> float:
    """Area of a closed outline (n, 2) in square pixels, by the shoelace formula."""
    x, y = points.astype(np.float64).T
    return 0.5 * abs(float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def class_frequencies(
    samples: Sequence[Sample], images: PreparedImages, classes: int
) -> NDArray[np.float64]:
    """Mean share of the pixels that the network sees that is of each class: (C,).

    An outline that a preprocessor's crop cuts counts whole.
    """
    total = np.zeros(classes)
    for sample in samples:
        height, width = images.frame(sample).shown
        labels = images.labels(sample)
        if isinstance(labels, PackedMask):
            total += labels.areas() / (height * width)
            continue
        for index, outlines in labels.items():
            total[index] += sum(map(polygon_area, outlines)) / (height * width)
    return total / max(len(samples), 1)
