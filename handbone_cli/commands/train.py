"""`hb train`: batches to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handbone_cli.commands.cross_validation import ALL, read_fold

if TYPE_CHECKING:
    from handbone_cli.commands.cross_validation import Fold
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.cross_validation import CrossValidation
    from handbone_cli.runs.directory import RunDirectory

RESUME = "resume it without RECIPE and --set, or start a new run with another -o"


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
@click.option("--bg", "background", is_flag=True, help="In the background; outlives the terminal.")
def train(
    recipe: str | None,
    fold: Fold,
    on: str | None,
    overrides: tuple[str, ...],
    output: Path | None,
    resume: Path | None,
    finetune: Path | None,
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
    """
    from handbone_cli.commands.cross_validation import cross_validate, resume_all
    from handbone_cli.commands.wiring.finetuning import continuation
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe, with_defaults
    from handbone_cli.runs.cross_validation import CrossValidation
    from handbone_cli.runs.directory import RunDirectory, default_folder

    registry = installed()
    if on is not None:
        overrides = (*overrides, f"train.on={on}")
    if resume is not None:
        if output is not None or finetune is not None:
            word = "-o" if output is not None else "--finetune"
            raise click.UsageError(f"--resume RUN goes on in RUN; leave out {word}.")
        if fold == ALL or CrossValidation(resume).facts_file.exists():
            resume_all(resume, recipe, overrides, fold, registry, background=background)
        else:
            go_on(resume, recipe, overrides, fold, registry, background=background)
        return
    if finetune is not None:
        if recipe is not None:
            raise click.UsageError("--finetune RUN goes by RUN's recipe; leave out RECIPE.")
        recipe, changes = continuation(finetune, registry)
        overrides = (*changes, *overrides)
    if recipe is None:
        raise click.UsageError("name a RECIPE, or a run with --resume RUN or --finetune RUN.")
    if fold == ALL:
        cross_validate(recipe, overrides, output, registry, background=background)
        return
    resolved = with_defaults(load_recipe(recipe, registry, overrides, fold=fold), registry)
    place = output or default_folder(resolved, finetuned=finetune is not None)
    refuse_foreign_folder(place)
    if background:
        RunDirectory(place).refuse_second()
        words = [*(f"--set={text}" for text in overrides), "-o", str(place)]
        fold_words = [] if fold is None else [f"--fold={fold}"]
        detach(RunDirectory(place), ["train", recipe, *fold_words, *words])
        return
    execute(resolved, RunDirectory(place), registry, resume=False)


def go_on(
    path: Path,
    recipe: str | None,
    overrides: tuple[str, ...],
    fold: int | None,
    registry: Registry,
    *,
    background: bool = False,
) -> None:
    """Continue a run that was stopped, by the recipe it began with; say so if it is finished."""
    from handbone_cli.commands.wiring.prediction import open_run
    from handbone_cli.errors import HandboneError
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
    refuse_running(run)
    if background:
        fold_words = [] if fold is None else [f"--fold={fold}"]
        words = [*([recipe] if recipe else []), *fold_words, *(f"--set={o}" for o in overrides)]
        detach(run, ["train", "--resume", str(path), *words])
        return
    if recipe is not None or overrides:  # may say other workers or trackers
        known = with_defaults(asked, registry)
    execute(known, run, registry, resume=True)


def detach(run: RunDirectory | CrossValidation, words: list[str]) -> None:
    """Run a command line in the background, with the run's log; say how to look after it."""
    from handbone_cli.files import make_folder
    from handbone_cli.runs.process import start_detached

    make_folder(run.path)
    pid = start_detached(words, run.log)
    click.echo(
        f"{run.path}: runs in the background as process {pid}; follow it with "
        f"`hb runs logs -f {run.path}`, end it with `hb runs stop {run.path}`"
    )


def refuse_running(run: RunDirectory | CrossValidation) -> None:
    """Two processes must not train one run."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.process import is_alive

    facts = run.facts()
    if facts.get("status") == "running" and is_alive(facts.get("process")):
        raise HandboneError(
            f"{run.path}: runs already, as process {facts['process']['pid']}; stop it with "
            f"`hb runs stop {run.path}`."
        )


def refuse_change(
    run: RunDirectory | CrossValidation, recipe: Recipe, registry: Registry, way_out: str
) -> None:
    """One sentence with what differs unless a run was trained with just this recipe."""
    from handbone_cli.recipe.load import from_table, to_table, with_defaults
    from handbone_cli.training.checkpoint import refuse_other_recipe

    before = from_table(run.facts().get("recipe", {}), registry, str(run.facts_file))
    old = to_table(with_defaults(before, registry))
    refuse_other_recipe(run.path, old, with_defaults(recipe, registry), way_out)


def refuse_foreign_folder(path: Path) -> None:
    """A run starts in a folder of its own: its recipe.toml must not replace a user's."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.directory import RunDirectory

    if RunDirectory(path).facts_file.exists():
        RunDirectory(path).facts()
    elif path.is_dir() and any(each != RunDirectory(path).log for each in path.iterdir()):
        raise HandboneError(f"{path}: the folder has files but no run; choose another -o.")


def execute(recipe: Recipe, run: RunDirectory, registry: Registry, *, resume: bool) -> None:
    """Wire data, network, loss, validation and display into the loop, and run it."""
    from handbone_cli.commands.wiring.finetuning import refuse_leak, started_from
    from handbone_cli.commands.wiring.loading import gather
    from handbone_cli.commands.wiring.training import (
        build_learner,
        describe,
        describe_people,
        refuse_before_data,
        wire,
    )
    from handbone_cli.commands.wiring.weights import match_initial_weights
    from handbone_cli.errors import HandboneError, InterruptedRunError
    from handbone_cli.files import read_bytes, write_bytes
    from handbone_cli.runs.process import describe_process
    from handbone_cli.terminal.progress import say
    from handbone_cli.terminal.training_table import TrainingTable
    from handbone_cli.training.loop import train as run_loop

    # What a recipe can get wrong comes before the run's folder, and what is quick before the data.
    refuse_before_data(recipe)
    match = None if resume else match_initial_weights(recipe, registry)
    data = gather(recipe, registry)
    refuse_leak(match, recipe, data.validation)
    learner = build_learner(recipe, data, registry, match, resume=resume)
    began = started_from(match) if match else run.facts().get("initial_weights") if resume else None
    header = describe(recipe, data.dataset, data.training, began)
    if not resume:
        run.create(recipe, {**header, "status": "running"})
    say(f"{run.path}: {describe_people(data)}")
    before = read_bytes(run.facts_file)
    run.update_facts(status="running", process=describe_process(), said="")
    table = TrainingTable(recipe.name, data.dataset.class_names, recipe.train.epochs)
    try:
        with table as observer:
            job = wire(recipe, data, learner, run, registry, header, observer)
            try:
                final = run_loop(job, resume=resume)
            finally:
                job.trackers.close()
    except InterruptedRunError:
        run.update_facts(status="stopped")
        raise
    except Exception as error:
        if resume and not table.began:  # nothing was done to the run
            write_bytes(run.facts_file, before)
            raise
        said = str(error) if isinstance(error, HandboneError) else repr(error)
        run.update_facts(status="failed", said=said)
        raise
    best_dice = final.best_dice if final.best_epoch else None
    run.update_facts(
        status="finished", epochs=final.epoch, best_dice=best_dice, best_epoch=final.best_epoch
    )
    scored = f"mean Dice {final.best_dice:.4f} in epoch {final.best_epoch}"
    unscored = f"trained to epoch {final.epoch}, without validation"
    click.echo(f"{run.path}: {unscored if best_dice is None else scored}")
