"""A training job from a recipe's plugins: data, network, loss, validation, trackers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from handbone_cli.host.interfaces import Dataset, Loader, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.directory import RunDirectory
    from handbone_cli.training.loop import Observer, Training
    from handbone_cli.training.validation import Scored


def describe(recipe: Recipe, dataset: Dataset, training: Sequence[Sample]) -> dict[str, Any]:
    """What run.json and checkpoints say of a run."""
    import torch

    from handbone_cli import __version__
    from handbone_cli.recipe.load import to_table

    return {
        "recipe": to_table(recipe),
        "class_names": list(dataset.class_names),
        "trained_persons": sorted({sample.person for sample in training}),
        "versions": {"handbone": __version__, "torch": torch.__version__},
    }


def wire(
    recipe: Recipe,
    dataset: Dataset,
    samples: tuple[list[Sample], list[Sample]],
    run: RunDirectory,
    registry: Registry,
    header: dict[str, Any],
    observer: Observer,
) -> Training:
    """Everything that the loop needs, from the recipe's plugins."""
    import torch

    from handbone_cli.host.interfaces import TrackerContext
    from handbone_cli.networks.build import (
        build_loss,
        build_segmenter,
        choose_device,
        choose_precision,
    )
    from handbone_cli.training.loop import Training

    training, validation = samples
    device = choose_device()
    model = build_segmenter(recipe, registry, len(dataset.class_names))
    start_at_prior(model, training)
    model.to(device)
    if recipe.train.channels_last:
        model.to(memory_format=torch.channels_last)
    loss = build_loss(recipe, registry, dataset.class_names)
    context = TrackerContext(run.path, recipe.name, header["recipe"])
    trackers = [registry.build("trackers", name, {}, context) for name in recipe.tracking.trackers]
    precision = choose_precision(recipe.train.precision, device)
    return Training(
        recipe=recipe,
        model=model,
        loss=loss,
        loader=build_loader(recipe, training, registry, len(dataset.class_names), device.type),
        validate=validation_of(model, recipe, validation, registry, dataset),
        device=device,
        precision=precision,
        last=run.last,
        best=run.best,
        header=header,
        observer=observer,
        trackers=trackers,
    )


def start_at_prior(model: Segmenter, samples: Sequence[Sample], most: int = 64) -> None:
    """Start the class bias at the pixel frequencies in up to 64 labelled images, evenly spread."""
    import torch

    from handbone_cli.data.frequencies import class_frequencies

    chosen = samples[:: max(len(samples) // most, 1)][:most]
    model.start_at_prior(torch.from_numpy(class_frequencies(chosen, len(model.bias))).float())


def build_loader(
    recipe: Recipe, samples: Sequence[Sample], registry: Registry, classes: int, device: str
) -> Loader:
    """The recipe's loader over its patches; `auto` is dali where a GPU and the plugin are there."""
    import os

    from handbone_cli.data.patches import TrainingPatches
    from handbone_cli.host.interfaces import LoaderContext

    name = recipe.data.loader
    if name == "auto":
        name = "dali" if device == "cuda" and "dali" in registry.names("loaders") else "torch"
    workers = recipe.data.workers
    if workers < 0:
        workers = min(8, os.cpu_count() or 1) if device == "cuda" else 0
    source = TrainingPatches(samples, recipe, classes)
    context = LoaderContext(source, recipe.train.batch_size, workers, recipe.seed)
    loader: Loader = registry.build("loaders", name, {}, context)
    return loader


def validation_of(
    model: Segmenter,
    recipe: Recipe,
    samples: Sequence[Sample],
    registry: Registry,
    dataset: Dataset,
) -> Any:
    """A function that scores the people left out, as `hb predict` will: windows, no TTA."""
    from handbone_cli.commands.wiring.prediction import build_predictor
    from handbone_cli.training.validation import validate

    predictor = build_predictor(model, recipe, registry, dataset.class_names, tta=())

    def scores() -> Iterator[Scored]:
        return validate(samples, lambda sample: predictor.predict(sample.read_image()))

    return scores if samples else None
