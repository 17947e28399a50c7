"""From a recipe's dataset to batches: prepared images, the patches drawn of them, a loader."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from handbone_cli.data.patches import TrainingPatches
    from handbone_cli.data.prepared import PreparedImages
    from handbone_cli.host.interfaces import Dataset, Loader, PatchSource, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class RunData:
    """What a run trains and validates on.

    Attributes:
        dataset: of the recipe.
        images: prepares and keeps them.
        source: of the training patches.
        training: samples whose files are sound.
        validation: the same of the people left out.
    """

    dataset: Dataset
    images: PreparedImages
    source: TrainingPatches
    training: list[Sample]
    validation: list[Sample]


def gather(recipe: Recipe, registry: Registry) -> RunData:
    """Open a recipe's data and check every file of it before anything is trained.

    Images with faults are named and quarantined; labels with faults are a mistake.

    Raises:
        HandboneError: no sound image is left to train on.
    """
    from handbone_cli.data.prepared import PreparedImages
    from handbone_cli.data.sources import open_dataset, training_and_validation
    from handbone_cli.terminal.progress import say

    dataset = open_dataset(recipe, registry)
    training, validation = training_and_validation(dataset, recipe)
    images = PreparedImages.of(recipe, registry, say)
    faults = find_faults([*training, *validation], images)
    for fault in faults.values():
        say(f"quarantined: {fault}")
    sound = [sample for sample in training if sample.image_id not in faults]
    if not sound:
        fault = faults[training[0].image_id]
        raise HandboneError(f"no image can be read; the first one's fault: {fault}")
    source = build_source(recipe, dataset, training, images)
    source.faults.update({s.image_id: faults[s.image_id] for s in training if s not in sound})
    left_out = [sample for sample in validation if sample.image_id not in faults]
    return RunData(dataset, images, source, sound, left_out)


def find_faults(samples: Sequence[Sample], images: PreparedImages) -> dict[str, str]:
    """Image id -> what is wrong with its file, in a sentence; nothing is decoded.

    Raises:
        HandboneError: labels that cannot be read. An image more or less is no great matter, but
            broken labels are a mistake in the truth, to be mended before anything is trained on it.
    """
    from handbone_cli.terminal.progress import progress

    faults: dict[str, str] = {}
    with progress("Checking files", "files", after=1.0) as report:
        for done, sample in enumerate(samples):
            fault = images.fault(sample)
            if fault:
                faults[sample.image_id] = fault
            else:
                images.labels(sample)
            report(done + 1, len(samples))
    return faults


def build_source(
    recipe: Recipe, dataset: Dataset, samples: Sequence[Sample], images: PreparedImages
) -> TrainingPatches:
    """The patches of a run, with what the dataset says of mirrors and of new samples."""
    from handbone_cli.commands.wiring.datasets import mirror_pairs_of
    from handbone_cli.data.patches import TrainingPatches
    from handbone_cli.host.interfaces import EndlessDataset

    pairs = mirror_pairs_of(dataset)
    endless = isinstance(dataset, EndlessDataset) and dataset.endless
    draw = dataset.draw if isinstance(dataset, EndlessDataset) and endless else None
    return TrainingPatches(samples, images, recipe, dataset.class_names, pairs, draw)


def build_loader(
    recipe: Recipe,
    source: PatchSource,
    registry: Registry,
    device: str,
    note: Callable[[str], None],
    batch_size: int,
) -> Loader:
    """The recipe's loader over its patches; `auto` is dali where a GPU and DALI are there."""
    import os

    from handbone_cli.host.interfaces import LoaderContext
    from handbone_cli.ranks import rank, rank_count

    workers = recipe.data.workers
    if workers < 0:
        cores = (os.cpu_count() or 1) // rank_count()
        workers = max(1, min(8, cores)) if device == "cuda" else 0
    context = LoaderContext(
        source, batch_size, workers, recipe.seed, device, note, rank(), rank_count()
    )

    def build(name: str) -> Loader:
        loader: Loader = registry.build("loaders", name, {}, context)
        return loader

    if recipe.data.loader != "auto":
        return build(recipe.data.loader)
    if device == "cuda":
        # What DALI cannot do, or a DALI that is not there, is no mistake of anybody's here.
        with contextlib.suppress(HandboneError):
            return build("dali")
    return build("torch")


def cache_of(recipe: Recipe) -> Path:
    """The folder of the recipe's cache; one sentence if it has none."""
    from handbone_cli.data.cache import cache_folder

    folder = cache_folder(recipe.data.cache)
    if folder is None:
        raise HandboneError("data.cache = false: the recipe keeps no prepared images.")
    return folder
