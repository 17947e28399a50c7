"""Rules on the 8-connected components of one bone's mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
from pydantic import Field

from handbone_cli import Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli import PostContext


class RemoveSmallOptions(Options):
    """Options of remove_small."""

    min_area: int = Field(900, ge=0)
    """Smallest area that stays, in px."""

    grid: ClassVar[Mapping[str, Sequence[int]]] = {"min_area": (100, 200, 400, 900, 2000)}


@dataclass(frozen=True)
class RemoveSmall:
    """Drops components under `min_area` px."""

    min_area: int

    def __call__(
        self,
        mask: NDArray[np.bool_],
        class_name: str,
    ) -> NDArray[np.bool_]:
        """(h, w) booleans -> an array of its own, the same shape."""
        labels, areas = components_of(mask)
        keep = areas >= self.min_area
        keep[0] = False
        return keep[labels]


@dataclass(frozen=True)
class LargestComponent:
    """Keeps the largest component; of equally large ones, the first in reading order."""

    def __call__(
        self,
        mask: NDArray[np.bool_],
        class_name: str,
    ) -> NDArray[np.bool_]:
        """(h, w) booleans -> an array of its own, the same shape; empty stays empty."""
        labels, areas = components_of(mask)
        keep = np.zeros(len(areas), dtype=np.bool_)
        if len(areas) > 1:
            keep[1 + areas[1:].argmax()] = True
        return keep[labels]


def build_remove_small(
    options: RemoveSmallOptions,
    context: PostContext,
) -> RemoveSmall:
    """Removal of small components with the options of a recipe."""
    return RemoveSmall(options.min_area)


def build_largest_component(
    options: Options,
    context: PostContext,
) -> LargestComponent:
    """The largest component; it has no options."""
    return LargestComponent()


def components_of(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Label each pixel (h, w), 0 outside the mask, and count each label's pixels."""
    if mask.size == 0:  # which OpenCV refuses
        return np.zeros(mask.shape, np.int32), np.zeros(1, np.int32)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        mask.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    return labels.astype(np.int32, copy=False), statistics[:, cv2.CC_STAT_AREA].astype(np.int32)
