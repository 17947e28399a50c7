"""A training job from a recipe's plugins: data, network, loss, validation, trackers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.commands.wiring.loading import RunData
    from handbone_cli.data.prepared import PreparedImages
    from handbone_cli.host.interfaces import Dataset, Sample
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
    data: RunData,
    run: RunDirectory,
    registry: Registry,
    header: dict[str, Any],
    observer: Observer,
) -> Training:
    """Everything that the loop needs, from the recipe's plugins."""
    import torch

    from handbone_cli.commands.wiring.loading import build_loader
    from handbone_cli.host.interfaces import TrackerContext
    from handbone_cli.networks.build import (
        build_loss,
        build_segmenter,
        choose_device,
        choose_precision,
        require_batch,
    )
    from handbone_cli.training.loop import Training

    device = choose_device()
    names = data.dataset.class_names
    channels = data.images.preprocessing.channels
    model = build_segmenter(recipe, registry, len(names), channels)
    require_batch(recipe, model, len(data.source))
    start_at_prior(model, data.training, data.images)
    model.to(device)
    if recipe.train.channels_last:
        model.to(memory_format=torch.channels_last)
    loss = build_loss(recipe, registry, names, lambda: overlaps_of(data, len(names)))
    context = TrackerContext(run.path, recipe.name, header["recipe"])
    trackers = [registry.build("trackers", name, {}, context) for name in recipe.tracking.trackers]
    precision = choose_precision(recipe.train.precision, device)
    return Training(
        recipe=recipe,
        model=model,
        loss=loss,
        loader=build_loader(recipe, data.source, registry, device.type, observer.note),
        validate=validation_of(model, recipe, registry, data),
        device=device,
        precision=precision,
        last=run.last,
        best=run.best,
        header=header,
        observer=observer,
        trackers=trackers,
    )


def start_at_prior(
    model: Segmenter, samples: Sequence[Sample], images: PreparedImages, most: int = 64
) -> None:
    """Start the class bias at the pixel frequencies in up to 64 labelled images, evenly spread."""
    import torch

    from handbone_cli.data.frequencies import class_frequencies

    frequencies = class_frequencies(evenly(samples, most), images, len(model.bias))
    model.start_at_prior(torch.from_numpy(frequencies).float())


def overlaps_of(data: RunData, classes: int, most: int = 64) -> NDArray[np.float64]:
    """What two classes share on average in up to 64 labelled images, evenly spread: (C, C)."""
    from handbone_cli.data.overlaps import class_overlaps

    return class_overlaps(evenly(data.training, most), data.images, classes)


def evenly(samples: Sequence[Sample], most: int) -> Sequence[Sample]:
    """So many samples at most, from all over a sequence."""
    return samples[:: max(len(samples) // most, 1)][:most]


def validation_of(
    model: Segmenter,
    recipe: Recipe,
    registry: Registry,
    data: RunData,
) -> Any:
    """A function that scores the people left out, as `hb predict` will: windows, no TTA."""
    from handbone_cli.commands.wiring.prediction import build_predictor, for_network
    from handbone_cli.training.validation import validate

    predictor = build_predictor(model, recipe, registry, data.dataset.class_names, tta=())

    def scores() -> Iterator[Scored]:
        return validate(
            data.validation,
            lambda sample: predictor.predict_prepared(for_network(data.images.image(sample))),
        )

    return scores if data.validation else None
