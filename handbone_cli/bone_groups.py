"""Groups of bones that a mean over all of them hides: the small ones, and pairs that overlap."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

Pair: TypeAlias = "tuple[int, int]"

SMALL_PART = 4
"""One class in so many is small: the lower quartile."""
SMALLER = 2 / 3
"""Of the middle class's area; so where all are alike in size none is small."""
LEAST_IOU = 0.1
"""Mean intersection over union from which a pair overlaps. In 288 hands Triquetrum and Pisiform
have 0.40, Trapezium and Trapezoid 0.19, all others 0.05 or less: there it is where their borders
touch, and the Dice of a seam of few pixels tells of a border's place, not of an overlap."""
DIGITS = 5


@dataclass(frozen=True)
class BoneGroups:
    """Which classes are small and which pairs overlap, as indices.

    Attributes:
        small: in the order of the classes.
        pairs: (a, b) with a < b, those that overlap most first.
    """

    small: tuple[int, ...] = ()
    pairs: tuple[Pair, ...] = ()

    def clusters(self) -> list[tuple[int, ...]]:
        """The bones that overlap, directly or over others, together; sorted."""
        found: list[set[int]] = []
        for pair in self.pairs:
            joined = [cluster for cluster in found if cluster & {*pair}]
            found = [c for c in found if c not in joined] + [{*pair}.union(*joined)]
        return sorted(tuple(sorted(cluster)) for cluster in found)

    def small_names(self, class_names: Sequence[str]) -> list[str]:
        """The small bones by name."""
        return [class_names[index] for index in self.small]

    def pair_names(self, class_names: Sequence[str]) -> list[str]:
        """The pairs by name: 'Triquetrum+Pisiform'."""
        return [f"{class_names[a]}+{class_names[b]}" for a, b in self.pairs]

    def figures(
        self,
        class_names: Sequence[str],
        dice: NDArray[np.float64],
        overlap_dice: NDArray[np.float64],
    ) -> dict[str, Any]:
        """What is logged of the groups; a group that the data does not have is left out.

        Args:
            class_names: C names.
            dice: (C,) mean Dice of every class.
            overlap_dice: (P,) mean Dice of what the two bones of every pair share.
        """
        said: dict[str, Any] = {}
        if self.small:
            said["small_bones"] = round(float(dice[list(self.small)].mean()), DIGITS)
        if self.pairs:
            rounded = [round(float(each), DIGITS) for each in overlap_dice]
            said["overlap_pairs"] = dict(zip(self.pair_names(class_names), rounded, strict=True))
        return said


NO_GROUPS = BoneGroups()
"""Of data where nothing is small and nothing overlaps."""


class Census:
    """What labels tell of sizes and overlaps, image by image.

    Args:
        classes: C.
    """

    def __init__(self, classes: int) -> None:
        self._areas: list[NDArray[np.float64]] = []
        self._iou = np.zeros((classes, classes))
        self._together = np.zeros((classes, classes), np.int64)

    def add(self, areas: NDArray[np.int64], shared: NDArray[np.int64], pixels: int) -> None:
        """Count the labels of one image.

        Args:
            areas: (C,) pixels of every class.
            shared: (C, C) pixels that two classes share, above the diagonal at least.
            pixels: of the image; sizes are shares of it.
        """
        there = areas > 0
        union = areas[:, None] + areas[None, :] - shared
        self._areas.append(np.where(there, areas / pixels, np.nan))
        self._iou += shared / np.maximum(union, 1)
        self._together += np.outer(there, there)

    def groups(self) -> BoneGroups:
        """The groups: a quarter of the classes at most, by median area; pairs by mean IoU.

        An area counts where its class is there, an IoU where both classes are.
        """
        return BoneGroups(self._small(), self._pairs())

    def _small(self) -> tuple[int, ...]:
        areas = np.array(self._areas).reshape(-1, len(self._iou))
        met = np.flatnonzero(np.diag(self._together))
        if len(met) == 0:
            return ()
        typical = np.nanmedian(areas[:, met], axis=0)
        order = typical.argsort(kind="stable")[: len(met) // SMALL_PART]
        limit = SMALLER * np.median(typical)
        return tuple(sorted(int(met[i]) for i in order if typical[i] < limit))

    def _pairs(self) -> tuple[Pair, ...]:
        mean = self._iou / np.maximum(self._together, 1)
        found = [p for p in combinations(range(len(mean)), 2) if mean[p] >= LEAST_IOU]
        return tuple(sorted(found, key=lambda pair: -mean[pair]))
