"""`hb train`: batches to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from handbone_cli.host.interfaces import Dataset, Loader, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.directory import RunDirectory
    from handbone_cli.training.loop import Observer, Training
    from handbone_cli.training.validation import Scored


@click.command()
@click.argument("recipe", required=False)
@click.option("--fold", type=int, help="Leave this group of people out; as --set data.fold=K.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("-o", "--output", type=Path, help="Run directory.  [default: runs/NAME_foldK]")
@click.option("--resume", type=Path, metavar="RUN", help="Continue a run that was stopped.")
def train(
    recipe: str | None,
    fold: int | None,
    overrides: tuple[str, ...],
    output: Path | None,
    resume: Path | None,
) -> None:
    """Train RECIPE, a .toml file or the name of a shipped one.

    \b
    hb train quickstart --set data.root=my_data -o runs/first
    hb train --resume runs/first
    """
    from handbone_cli.errors import HandboneError
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe
    from handbone_cli.runs.directory import RunDirectory

    registry = installed()
    if (recipe is None) == (resume is None) and resume is None:
        raise click.UsageError("name a RECIPE, or a run with --resume RUN.")
    if fold is not None:
        overrides = (*overrides, f"data.fold={fold}")
    if resume is not None:
        run = RunDirectory(resume)
        known = run.recipe(registry)
        if recipe is not None or overrides:
            refuse_change(run, load_recipe(recipe or str(run.recipe_file), registry, overrides))
        if not run.last.exists():
            raise HandboneError(f"{resume}: nothing to resume, there is no {run.last.name} in it.")
        execute(known, run, registry, resume=True)
        return
    resolved = load_recipe(str(recipe), registry, overrides)
    place = output or Path("runs") / f"{resolved.name}_fold{resolved.data.fold}"
    execute(resolved, RunDirectory(place), registry, resume=False)


def refuse_change(run: RunDirectory, recipe: Recipe) -> None:
    """A resumed run keeps its recipe; say what differs."""
    from handbone_cli.networks.weights import load_tensors
    from handbone_cli.training.checkpoint import refuse_other_recipe

    refuse_other_recipe(run.last, load_tensors(run.last)[1]["recipe"], recipe)


def execute(recipe: Recipe, run: RunDirectory, registry: Registry, *, resume: bool) -> None:
    """Wire data, network, loss, validation and display into the loop, and run it."""
    from handbone_cli.data.sources import open_dataset, training_and_validation
    from handbone_cli.terminal.progress import say
    from handbone_cli.terminal.training_table import TrainingTable
    from handbone_cli.training.loop import train as run_loop

    dataset = open_dataset(recipe, registry)
    training, validation = training_and_validation(dataset, recipe)
    header = describe(recipe, dataset, training)
    if not resume:
        run.create(recipe, {**header, "status": "running"})
    say(f"{run.path}: {len(training)} images to train on, {len(validation)} of people left out")
    table = TrainingTable(recipe.name, dataset.class_names, recipe.train.epochs)
    with table as observer:
        job = wire(recipe, dataset, (training, validation), run, registry, header, observer)
        try:
            final = run_loop(job, resume=resume)
        finally:
            for tracker in job.trackers:
                tracker.close()
    run.update_facts(
        status="finished",
        epochs=final.epoch,
        best_dice=final.best_dice,
        best_epoch=final.best_epoch,
    )
    click.echo(f"{run.path}: mean Dice {final.best_dice:.4f} in epoch {final.best_epoch}")


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
    from handbone_cli.commands.predict import build_predictor
    from handbone_cli.training.validation import validate

    predictor = build_predictor(model, recipe, registry, dataset.class_names, tta=())

    def scores() -> Iterator[Scored]:
        return validate(samples, lambda sample: predictor.predict(sample.read_image()))

    return scores if samples else None
