"""`hb train --fold all`: every fold's run, one out-of-fold store, and its score."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import click

if TYPE_CHECKING:
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.results.evaluation import Evaluation
    from handbone_cli.runs.cross_validation import CrossValidation
    from handbone_cli.runs.directory import RunDirectory

ALL: Literal["all"] = "all"
Fold: TypeAlias = "int | Literal['all'] | None"


def read_fold(_context: click.Context, _option: click.Parameter, said: str | None) -> Fold:
    """What --fold says: the number of a fold, or `all`."""
    try:
        return ALL if said == ALL else None if said is None else int(said)
    except ValueError as error:
        raise click.BadParameter(f"'{said}' is neither the number of a fold nor all.") from error


def cross_validate(
    recipe: str,
    overrides: tuple[str, ...],
    output: Path | None,
    registry: Registry,
    devices: int,
    background: bool,
) -> None:
    """Train a recipe once for every fold and predict whom each left out."""
    from handbone_cli.commands.wiring.execution import detach, refuse_devices
    from handbone_cli.recipe.load import load_recipe, with_defaults
    from handbone_cli.runs.cross_validation import CrossValidation

    resolved = with_defaults(load_recipe(recipe, registry, overrides, fold=0), registry)
    folds = CrossValidation(output or Path("runs") / resolved.name)
    folds.refuse_second()
    refuse_torchrun()
    refuse_devices(devices, resolved)
    foresee(folds, resolved, registry)
    if background:
        words = [*(f"--set={text}" for text in overrides), "-o", str(folds.path)]
        words += [f"--devices={devices}"]
        detach(folds, ["train", recipe, "--fold=all", *words])
        return
    folds.create(resolved)
    work(folds, resolved, registry, devices)


def resume_all(
    path: Path,
    recipe: str | None,
    overrides: tuple[str, ...],
    fold: Fold,
    registry: Registry,
    devices: int,
    background: bool,
) -> None:
    """Continue a cross-validation that was stopped, by the recipe it began with."""
    from handbone_cli.commands.wiring.execution import (
        RESUME,
        detach,
        refuse_change,
        refuse_devices,
        refuse_running,
    )
    from handbone_cli.errors import HandboneError
    from handbone_cli.recipe.load import load_recipe, with_defaults
    from handbone_cli.runs.cross_validation import CrossValidation

    folds = CrossValidation(path)
    if not folds.facts_file.exists():
        raise HandboneError(
            f"{path}: not the folder of a cross-validation; leave out --fold all to resume one run."
        )
    if isinstance(fold, int):
        raise HandboneError(
            f"{path}: a cross-validation of all folds; resume it without --fold, or one run of it "
            f"with `hb train --resume {folds.run(fold).path}`."
        )
    name = recipe or str(folds.recipe_file)
    asked = with_defaults(load_recipe(name, registry, overrides, fold=0), registry)
    refuse_change(folds, asked, registry, RESUME)
    if folds.facts().get("status") == "finished" and folds.store.exists():
        click.echo(f"{path}: done already, out-of-fold mean Dice {folds.facts()['mean_dice']:.4f}")
        return
    refuse_running(folds)
    refuse_torchrun()
    refuse_devices(devices, asked)
    foresee(folds, asked, registry)
    if background:
        words = [*([recipe] if recipe else []), *(f"--set={text}" for text in overrides)]
        words += [f"--devices={devices}"]
        detach(folds, ["train", "--resume", str(path), *words])
        return
    work(folds, asked, registry, devices)


def foresee(folds: CrossValidation, recipe: Recipe, registry: Registry) -> None:
    """Refuse, before the first fold, what a later one would fail of."""
    from handbone_cli.commands.wiring.execution import RESUME, refuse_change, refuse_running
    from handbone_cli.commands.wiring.finetuning import refuse_leak
    from handbone_cli.commands.wiring.out_of_fold import left_out_by_fold
    from handbone_cli.commands.wiring.training import refuse_before_data
    from handbone_cli.commands.wiring.weights import match_initial_weights
    from handbone_cli.data.sources import open_dataset
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.cross_validation import of_fold

    if recipe.train.on == "all":
        raise HandboneError(
            '--fold all leaves everybody out once, and train.on = "all" nobody; leave out one of '
            "them."
        )
    refuse_before_data(recipe, registry)
    begun = [
        run.last.exists() or is_finished(run) for run in map(folds.run, range(recipe.data.folds))
    ]
    match = None if all(begun) else match_initial_weights(recipe, registry)
    parts = left_out_by_fold(folds, recipe, open_dataset(recipe, registry))
    for fold, left_out in enumerate(parts):
        run, own = folds.run(fold), of_fold(recipe, fold)
        refuse_leak(match, own, left_out)
        if begun[fold]:
            refuse_running(run)
            refuse_change(run, own, registry, RESUME)


def refuse_torchrun() -> None:
    """The folds are trained one after another, each by processes of its own."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.ranks import rank_count

    if rank_count() > 1:
        raise HandboneError("--fold all starts processes by itself; use --devices, not torchrun.")


def work(folds: CrossValidation, recipe: Recipe, registry: Registry, devices: int) -> None:
    """Train what is not trained, predict what is not predicted, and score; say what became of it.

    Raises:
        InterruptedRunError: Ctrl-C, wherever it came.
    """
    from handbone_cli.commands.evaluate import show
    from handbone_cli.commands.predict import tell_end
    from handbone_cli.errors import HandboneError, InterruptedRunError
    from handbone_cli.processes import describe_process

    folds.update_facts(status="running", process=describe_process(), said="")
    try:
        result, unreadable = train_and_predict(folds, recipe, registry, devices)
    except (InterruptedRunError, KeyboardInterrupt) as stop:
        folds.update_facts(status="stopped")
        raise InterruptedRunError(
            f"stopped; continue with `hb train --resume {folds.path}`."
        ) from stop
    except Exception as error:
        said = str(error) if isinstance(error, HandboneError) else repr(error)
        folds.update_facts(status="failed", said=said)
        raise
    scores = {key: result.summary()[key] for key in ("mean_dice", "standard_error")}
    status = "failed" if unreadable else "finished"
    folds.update_facts(status=status, said=" ".join(unreadable), **scores)
    show(result, str(folds.store))
    tell_end(folds.store, len(result.image_ids) + len(unreadable), unreadable)


def train_and_predict(
    folds: CrossValidation, recipe: Recipe, registry: Registry, devices: int
) -> tuple[Evaluation, list[str]]:
    """All folds' runs, one after another, and their store: its score, and what cannot be read."""
    from handbone_cli.commands.evaluate import score
    from handbone_cli.commands.wiring.filling import Filling
    from handbone_cli.commands.wiring.out_of_fold import fill_out_of_fold
    from handbone_cli.runs.cross_validation import of_fold

    for fold in range(recipe.data.folds):
        train_fold(folds, fold, of_fold(recipe, fold), registry, devices)
    _, unreadable = fill_out_of_fold(folds, recipe, Filling(folds.store), registry)
    return score(folds.store, None, (), registry), unreadable


def train_fold(
    folds: CrossValidation, fold: int, recipe: Recipe, registry: Registry, devices: int
) -> None:
    """Train one fold unless that is done; resume it if it was stopped."""
    from handbone_cli.commands.wiring.execution import execute
    from handbone_cli.terminal.progress import say

    run = folds.run(fold)
    if is_finished(run):
        say(f"{run.path}: trained already")
        return
    begun = run.last.exists()
    if not begun:  # killed between its first best weights and its first state, or never there
        run.best.unlink(missing_ok=True)
    if devices == 1:
        execute(recipe, run, registry, resume=begun)
        return
    began = [str(folds.recipe_file), f"--fold={fold}", "-o", str(run.path)]
    train_by_several(run, ["train", *(["--resume", str(run.path)] if begun else began)], devices)


def train_by_several(run: RunDirectory, words: list[str], devices: int) -> None:
    """Train a run by a command line in several processes.

    Raises:
        InterruptedRunError: they were asked to stop, and have.
        HandboneError: they did not come to the end, and have said why.
    """
    from handbone_cli.errors import HandboneError, InterruptedRunError
    from handbone_cli.ranks import INTERRUPTED
    from handbone_cli.runs.launch import launch_training

    code = launch_training(devices, words, run.last)
    if code == INTERRUPTED:
        raise InterruptedRunError(f"{run.path}: stopped.")
    if code:
        raise HandboneError(f"{run.path}: not trained, its processes ended with exit code {code}.")


def is_finished(run: RunDirectory) -> bool:
    """Whether a run is trained; the state to resume from may be gone then."""
    return run.best.exists() and run.facts().get("status") == "finished"
