"""Hard Dice and its counts, decided once for everyone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.masks import EMPTY, union_box

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask


def dice(
    intersection: NDArray[np.int64], predicted: NDArray[np.int64], truth: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Hard Dice 2 I / (P + T) from pixel counts of any equal shape; 1 where both are empty."""
    total = np.asarray(predicted) + np.asarray(truth)
    return np.where(total == 0, 1.0, 2.0 * np.asarray(intersection) / np.maximum(total, 1))


def overlap_counts(predicted: PackedMask, truth: PackedMask) -> NDArray[np.int64]:
    """Pixels of every class in both, in the prediction and in the truth: (C, 3) int64.

    Raises:
        ValueError: the masks differ in size or number of classes.
    """
    if predicted.size != truth.size or predicted.classes != truth.classes:
        raise ValueError(f"masks differ: {predicted.size} and {truth.size} pixels")
    counts = np.zeros((truth.classes, 3), np.int64)
    pairs = zip(predicted.boxes(), truth.boxes(), strict=True)
    for index, both in enumerate(pairs):
        box = union_box(both)
        if box != EMPTY:
            p, t = predicted.crop(index, box), truth.crop(index, box)
            counts[index] = np.count_nonzero(p & t), np.count_nonzero(p), np.count_nonzero(t)
    return counts


def dice_per_class(predicted: PackedMask, truth: PackedMask) -> NDArray[np.float64]:
    """Hard Dice of every class of one image: (C,)."""
    counts = overlap_counts(predicted, truth)
    return dice(counts[:, 0], counts[:, 1], counts[:, 2])


def clustered_error(values: NDArray[np.float64], groups: list[str]) -> float:
    """Standard error of the mean of `values` (n,) when those of one group (person) hang together.

    The usual sandwich estimate for clustered data (Liang and Zeger, 1986) with the G / (G - 1)
    correction; nan with fewer than two groups.
    """
    _, membership = np.unique(np.asarray(groups), return_inverse=True)
    count = int(membership.max()) + 1 if len(membership) else 0
    if count < 2:
        return float("nan")
    sums = np.bincount(membership, weights=values - values.mean(), minlength=count)
    return float(np.sqrt(count / (count - 1) * np.square(sums).sum()) / len(values))
