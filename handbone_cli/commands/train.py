"""`hb train`: batches to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handbone_cli.commands.cross_validation import ALL, read_fold

if TYPE_CHECKING:
    from handbone_cli.commands.cross_validation import Fold
    from handbone_cli.host.registry import Registry


@click.command(short_help="Train a model as a recipe says.")
@click.argument("recipe", required=False)
@click.option(
    "--fold",
    callback=read_fold,
    metavar="K|all",
    help="Leave this group of people out, as --set data.fold=K; all: each once, a run each.",
)
@click.option(
    "--on",
    type=click.Choice(["train", "all"]),
    help="All people but the fold's, or everybody; as --set train.on=all.",
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("-o", "--output", type=Path, help="Run directory.  [default: runs/NAME_foldK]")
@click.option("--resume", type=Path, metavar="RUN", help="Continue a run that was stopped.")
@click.option("--finetune", type=Path, metavar="RUN", help="Start from a run's best weights.")
@click.option("--devices", type=click.IntRange(1), default=1, help="GPUs, or processes on a CPU.")
@click.option("--bg", "background", is_flag=True, help="In the background; outlives the terminal.")
def train(
    recipe: str | None,
    fold: Fold,
    on: str | None,
    overrides: tuple[str, ...],
    output: Path | None,
    resume: Path | None,
    finetune: Path | None,
    devices: int,
    background: bool,
) -> None:
    """Train RECIPE, a .toml file or the name of a shipped one.

    --fold all trains a run for every fold, predicts with each whom it left out, into one store,
    and scores that. --finetune goes on from a trained run by its recipe, at a tenth of its
    learning rate, without warmup, for a fifth of its epochs; --set changes that. --on all trains
    on everybody: without validation and early stopping, and the last weights are kept.

    \b
    hb train quickstart --set data.root=my_data -o runs/first
    hb train --resume runs/first
    hb train quickstart --fold all -o runs/all
    hb train --finetune runs/first --on all -o runs/last
    hb train quickstart --bg        then: hb runs list | logs -f | stop
    hb train nnunet --devices 2     two GPUs share every batch; on more machines: docs/devices.md
    """
    from handbone_cli.commands.cross_validation import resume_all
    from handbone_cli.commands.wiring.finetuning import continuation
    from handbone_cli.host.registry import installed
    from handbone_cli.runs.cross_validation import CrossValidation

    registry = installed()
    if on is not None:
        overrides = (*overrides, f"train.on={on}")
    if resume is not None:
        if output is not None or finetune is not None:
            word = "-o" if output is not None else "--finetune"
            raise click.UsageError(f"--resume RUN goes on in RUN; leave out {word}.")
        if fold == ALL or CrossValidation(resume).facts_file.exists():
            resume_all(resume, recipe, overrides, fold, registry, devices, background)
        else:
            go_on(resume, recipe, overrides, fold, registry, devices, background)
        return
    if finetune is not None:
        if recipe is not None:
            raise click.UsageError("--finetune RUN goes by RUN's recipe; leave out RECIPE.")
        recipe, changes = continuation(finetune, registry)
        overrides = (*changes, *overrides)
    if recipe is None:
        raise click.UsageError("name a RECIPE, or a run with --resume RUN or --finetune RUN.")
    start(recipe, overrides, fold, output, registry, devices, background, finetune is not None)


def start(
    recipe: str, overrides: tuple[str, ...], fold: Fold, output: Path | None, registry: Registry,
    devices: int, background: bool, finetuned: bool,
) -> None:  # fmt: skip
    """Begin a run, or those of all folds."""
    from handbone_cli.commands.cross_validation import cross_validate
    from handbone_cli.commands.wiring.execution import (
        execute,
        hand_over,
        refuse_devices,
        refuse_foreign_folder,
    )
    from handbone_cli.ranks import is_main
    from handbone_cli.recipe.load import load_recipe, with_defaults
    from handbone_cli.runs.directory import RunDirectory, default_folder

    if fold == ALL:
        cross_validate(recipe, overrides, output, registry, devices, background)
        return
    resolved = with_defaults(load_recipe(recipe, registry, overrides, fold=fold), registry)
    refuse_devices(devices, resolved)
    place = output or default_folder(resolved, finetuned=finetuned)
    if is_main():  # which may have made it by now
        refuse_foreign_folder(place)
    if background or devices > 1:
        RunDirectory(place).refuse_second()
        words = [*(f"--set={text}" for text in overrides), "-o", str(place)]
        fold_words = [] if fold is None else [f"--fold={fold}"]
        hand_over(RunDirectory(place), ["train", recipe, *fold_words, *words], devices, background)
        return
    execute(resolved, RunDirectory(place), registry, resume=False)


def go_on(
    path: Path,
    recipe: str | None,
    overrides: tuple[str, ...],
    fold: int | None,
    registry: Registry,
    devices: int,
    background: bool,
) -> None:
    """Continue a run that was stopped, by the recipe it began with; say so if it is finished."""
    from handbone_cli.commands.wiring.execution import (
        RESUME,
        execute,
        hand_over,
        refuse_change,
        refuse_devices,
        refuse_running,
    )
    from handbone_cli.commands.wiring.prediction import open_run
    from handbone_cli.errors import HandboneError
    from handbone_cli.ranks import is_main
    from handbone_cli.recipe.load import load_recipe, with_defaults

    run = open_run(path)
    known, facts = run.recipe(registry), run.facts()
    asked = load_recipe(recipe or str(run.recipe_file), registry, overrides, fold=fold)
    refuse_change(run, asked, registry, RESUME)
    if facts.get("status") == "finished":
        scored = facts.get("best_dice") is not None
        said = f"mean Dice {facts['best_dice']:.4f}" if scored else "without validation"
        click.echo(f"{path}: trained already, {said}")
        return
    if not run.last.exists():
        raise HandboneError(f"{path}: nothing to resume, there is no {run.last.name} in it.")
    refuse_devices(devices, asked)
    if is_main():
        refuse_running(run)
    if background or devices > 1:
        fold_words = [] if fold is None else [f"--fold={fold}"]
        words = [*([recipe] if recipe else []), *fold_words, *(f"--set={o}" for o in overrides)]
        hand_over(run, ["train", "--resume", str(path), *words], devices, background)
        return
    if recipe is not None or overrides:  # may say other workers or trackers
        known = with_defaults(asked, registry)
    execute(known, run, registry, resume=True)
