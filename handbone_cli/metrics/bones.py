"""The metrics of every bone of one image, each in the box that holds both its masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from handbone_cli.masks import EMPTY, union_box
from handbone_cli.metrics.borders import (
    boundary,
    boundary_width,
    contour_elements,
    edge_pixels,
)
from handbone_cli.metrics.distances import border_distances
from handbone_cli.metrics.plan import OF_BORDERS, RATES, SHARES
from handbone_cli.scores import dice

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask
    from handbone_cli.metrics.borders import Spacing
    from handbone_cli.metrics.distances import BorderDistances
    from handbone_cli.metrics.plan import Column, Plan


class _Bone(NamedTuple):
    """One bone in a box: its pixels in both, in the prediction, in the truth; the two masks."""

    counts: tuple[int, int, int]
    predicted: NDArray[np.bool_]
    truth: NDArray[np.bool_]

    @property
    def both(self) -> bool:
        return self.counts[1] > 0 and self.counts[2] > 0


def measure(
    predicted: PackedMask, truth: PackedMask, plan: Plan, spacing: Spacing = (1.0, 1.0)
) -> NDArray[np.float64]:
    """The metrics of every bone of an image, (C, M) in the order of `plan.columns`.

    Where a bone is in neither mask, Dice and both IoUs are 1, nsd and distances nan, as there is
    nothing to be near to. Where it is in one of them, these are 0 and distances endless. `missing`
    is 1 or 0 of a bone in the truth, `extra` of one that is not, else nan.

    Args:
        predicted: masks of C classes.
        truth: of as many classes and pixels.
        plan: what is measured.
        spacing: from a row to the next, from a column to the next, in `plan.unit`.

    Raises:
        ValueError: the masks differ in size or number of classes.
    """
    if predicted.size != truth.size or predicted.classes != truth.classes:
        raise ValueError(f"masks differ: {predicted.size} and {truth.size} pixels")
    columns = plan.columns
    values = np.full((truth.classes, len(columns)), np.nan)
    width = boundary_width(truth.size, plan.boundary)
    boxes = zip(predicted.boxes(), truth.boxes(), strict=True)
    for index, pair in enumerate(boxes):
        box = union_box(pair)
        if box == EMPTY:
            values[index] = [_of_neither(column) for column in columns]
            continue
        p, t = predicted.crop(index, box), truth.crop(index, box)
        counts = int((p & t).sum()), int(p.sum()), int(t.sum())
        bone = _Bone(counts, p, t)
        if bone.both:
            values[index] = _of_both(bone, plan, spacing, width)
        else:
            values[index] = [_of_one(column, missing=counts[1] == 0) for column in columns]
    return values


def _of_neither(column: Column) -> float:
    if column.metric in {"dice", "iou", "boundary_iou"}:
        return 1.0
    return 0.0 if column.metric == "extra" else np.nan


def _of_one(column: Column, *, missing: bool) -> float:
    if column.metric in RATES:
        there = column.metric == ("missing" if missing else "extra")
        return 1.0 if there else np.nan
    return 0.0 if column.metric in SHARES else np.inf


def _of_both(bone: _Bone, plan: Plan, spacing: Spacing, width: int) -> list[float]:
    distances = None
    if any(name in OF_BORDERS for name in plan.metrics):
        distances = _distances(bone, plan, spacing)
    return [_figure(bone, column, distances, spacing, width) for column in plan.columns]


def _distances(bone: _Bone, plan: Plan, spacing: Spacing) -> BorderDistances:
    if plan.borders == "contour":
        borders = [contour_elements(mask, spacing) for mask in (bone.predicted, bone.truth)]
    else:
        borders = [edge_pixels(mask) for mask in (bone.predicted, bone.truth)]
    return border_distances(borders[0], borders[1], spacing)


def _figure(
    bone: _Bone, column: Column, distances: BorderDistances | None, spacing: Spacing, width: int
) -> float:
    shared, ours, theirs = bone.counts
    match column.metric:
        case "dice":
            return float(dice(*np.array(bone.counts)))
        case "iou":
            return shared / (ours + theirs - shared)
        case "boundary_iou":
            p, t = boundary(bone.predicted, width), boundary(bone.truth, width)
            return np.count_nonzero(p & t) / np.count_nonzero(p | t)
        case "centroid":
            apart = _centre(bone.predicted) - _centre(bone.truth)
            return float(np.hypot(*(apart * spacing)))
        case "missing":
            return 0.0
        case "extra":
            return np.nan
    assert distances is not None, column
    match column.metric:
        case "nsd":
            assert column.tolerance is not None
            return distances.within(column.tolerance)
        case "hd95":
            return distances.hausdorff(95.0)
        case "hd":
            return distances.hausdorff()
        case _:
            return distances.mean()


def _centre(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Row and column of the centroid (2,)."""
    down, across = mask.sum(axis=1), mask.sum(axis=0)
    rows, columns = down @ np.arange(len(down)), across @ np.arange(len(across))
    return np.asarray(np.array([rows, columns]) / down.sum())
