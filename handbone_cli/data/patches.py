"""Samples to training patches: preprocessing cached, labels filled only where they are needed."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.data import augmentation, geometry
from handbone_cli.data.preprocessing import PreparedImage, normalise, prepare
from handbone_cli.host.interfaces import Patch
from handbone_cli.masks import PackedMask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Labels, Sample
    from handbone_cli.recipe.schema import Recipe


class TrainingPatches:
    """The patches of a run: a PatchSource over labelled samples.

    Prepared images and outlines stay in RAM up to `data.cache_mb`, the oldest leaving first.
    """

    def __init__(self, samples: Sequence[Sample], recipe: Recipe, classes: int) -> None:
        self._samples = samples
        self._recipe = recipe
        self._classes = classes
        self._cache: OrderedDict[str, tuple[PreparedImage, Labels]] = OrderedDict()
        self._cached_bytes = 0

    def __len__(self) -> int:
        """Patches in an epoch."""
        return len(self._samples) * self._recipe.train.patches_per_image

    def patch(self, epoch: int, index: int) -> Patch:
        """The patch of a place in an epoch, a function of (seed, epoch, index) alone."""
        prepared, truth = self._load(self._samples[index % len(self._samples)])
        size = (self._recipe.data.patch, self._recipe.data.patch)
        rng = augmentation.stream(self._recipe.seed, epoch, index)
        plan = augmentation.draw(rng, self._recipe.augment, prepared.target, size)
        to_grey = geometry.compose(prepared.to_grey, plan.matrix)
        grey = geometry.warp(prepared.grey, to_grey, size, plan.displacement)
        grey = augmentation.apply_photometrics(grey, plan)
        labels = warp_labels(truth, prepared, plan, size, self._classes)
        return Patch(normalise(grey, prepared.mean, prepared.std)[None], labels)

    def _load(self, sample: Sample) -> tuple[PreparedImage, Labels]:
        if sample.image_id in self._cache:
            self._cache.move_to_end(sample.image_id)
            return self._cache[sample.image_id]
        if sample.read_labels is None:
            raise ValueError(f"{sample.image_id} has no labels to train on")
        entry = prepare(sample.read_image(), self._recipe.data), sample.read_labels()
        self._cache[sample.image_id] = entry
        self._cached_bytes += entry[0].grey.nbytes
        while self._cached_bytes > self._recipe.data.cache_mb * 2**20:
            _, (oldest, _) = self._cache.popitem(last=False)
            self._cached_bytes -= oldest.grey.nbytes
        return entry


def warp_labels(
    labels: Labels,
    prepared: PreparedImage,
    plan: augmentation.PatchPlan,
    size: tuple[int, int],
    classes: int,
) -> NDArray[np.uint8]:
    """Fill or cut the labels in the source rectangle a patch needs, warp that: (h, w, P) uint8.

    Vertices are never warped: filling at the source's resolution keeps the annotators' pixels.
    """
    matrix = geometry.compose(geometry.between(prepared.target, prepared.size), plan.matrix)
    reach = 2.0
    if plan.displacement is not None:
        reach += float(np.abs(plan.displacement).max() * np.abs(matrix[:, :2]).sum())
    box = geometry.source_rectangle(matrix, size, prepared.size, reach)
    filled = PackedMask.from_labels(labels, prepared.size, classes, box)
    inside = geometry.compose(geometry.translation(-box[2], -box[0]), matrix)
    planes = [
        geometry.warp(
            np.ascontiguousarray(filled.planes[..., start : start + 4]),
            inside,
            size,
            plan.displacement,
            nearest=True,
        )
        for start in range(0, filled.planes.shape[2], 4)
    ]
    return np.concatenate(planes, axis=2)
