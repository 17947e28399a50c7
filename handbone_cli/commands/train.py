"""`hb train`: batches to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.directory import RunDirectory


@click.command(short_help="Train a model as a recipe says.")
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
        facts = run.facts()
        if facts.get("status") == "finished":
            click.echo(f"{resume}: trained already, mean Dice {facts['best_dice']:.4f}")
            return
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
    from handbone_cli.commands.wiring.training import describe, wire
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
