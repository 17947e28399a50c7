"""Hard Dice and its counts, decided once for everyone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.masks import EMPTY, clip_box, union_box

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    _refuse_others(predicted, truth)
    counts = np.zeros((truth.classes, 3), np.int64)
    pairs = zip(predicted.boxes(), truth.boxes(), strict=True)
    for index, both in enumerate(pairs):
        box = union_box(both)
        if box != EMPTY:
            p, t = predicted.crop(index, box), truth.crop(index, box)
            counts[index] = np.count_nonzero(p & t), np.count_nonzero(p), np.count_nonzero(t)
    return counts


def pair_counts(
    predicted: PackedMask, truth: PackedMask, pairs: Sequence[tuple[int, int]]
) -> NDArray[np.int64]:
    """Pixels that the two classes of a pair share, counted as `overlap_counts` does: (P, 3) int64.

    `dice` of them says how well an overlap was found, whatever the rest of the two bones is like.

    Raises:
        ValueError: the masks differ in size or number of classes.
    """
    _refuse_others(predicted, truth)
    counts = np.zeros((len(pairs), 3), np.int64)
    ours, theirs = predicted.boxes(), truth.boxes()
    for place, (a, b) in enumerate(pairs):
        box = union_box((clip_box(ours[a], ours[b]), clip_box(theirs[a], theirs[b])))
        if box != EMPTY:
            p = predicted.crop(a, box) & predicted.crop(b, box)
            t = truth.crop(a, box) & truth.crop(b, box)
            counts[place] = np.count_nonzero(p & t), np.count_nonzero(p), np.count_nonzero(t)
    return counts


def _refuse_others(predicted: PackedMask, truth: PackedMask) -> None:
    if predicted.size != truth.size or predicted.classes != truth.classes:
        raise ValueError(f"masks differ: {predicted.size} and {truth.size} pixels")


def dice_per_class(predicted: PackedMask, truth: PackedMask) -> NDArray[np.float64]:
    """Hard Dice of every class of one image: (C,)."""
    return dice(*overlap_counts(predicted, truth).T)


def dice_per_pair(
    predicted: PackedMask, truth: PackedMask, pairs: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Hard Dice of what the two classes of every pair share in one image: (P,)."""
    return dice(*pair_counts(predicted, truth, pairs).T)


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
