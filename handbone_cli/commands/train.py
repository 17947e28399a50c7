"""`hb train`: batches to a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.directory import RunDirectory

RESUME = "resume it without RECIPE and --set, or start a new run with another -o"


@click.command(short_help="Train a model as a recipe says.")
@click.argument("recipe", required=False)
@click.option("--fold", type=int, help="Leave this group of people out; as --set data.fold=K.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("-o", "--output", type=Path, help="Run directory.  [default: runs/NAME_foldK]")
@click.option("--resume", type=Path, metavar="RUN", help="Continue a run that was stopped.")
@click.option("--bg", "background", is_flag=True, help="In the background; outlives the terminal.")
def train(
    recipe: str | None,
    fold: int | None,
    overrides: tuple[str, ...],
    output: Path | None,
    resume: Path | None,
    background: bool,
) -> None:
    """Train RECIPE, a .toml file or the name of a shipped one.

    \b
    hb train quickstart --set data.root=my_data -o runs/first
    hb train --resume runs/first
    hb train quickstart --bg        then: hb runs list | logs -f | stop
    """
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe, with_defaults
    from handbone_cli.runs.directory import RunDirectory

    registry = installed()
    if resume is not None:
        if output is not None:
            raise click.UsageError("--resume RUN goes on in RUN; leave out -o.")
        go_on(resume, recipe, overrides, fold, registry, background=background)
        return
    if recipe is None:
        raise click.UsageError("name a RECIPE, or a run with --resume RUN.")
    resolved = with_defaults(load_recipe(recipe, registry, overrides, fold=fold), registry)
    place = output or Path("runs") / f"{resolved.name}_fold{resolved.data.fold}"
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
        click.echo(f"{path}: trained already, mean Dice {facts['best_dice']:.4f}")
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


def detach(run: RunDirectory, words: list[str]) -> None:
    """Run a command line in the background, with the run's log; say how to look after it."""
    from handbone_cli.files import make_folder
    from handbone_cli.runs.process import start_detached

    make_folder(run.path)
    pid = start_detached(words, run.log)
    click.echo(
        f"{run.path}: runs in the background as process {pid}; follow it with "
        f"`hb runs logs -f {run.path}`, end it with `hb runs stop {run.path}`"
    )


def refuse_running(run: RunDirectory) -> None:
    """Two processes must not train one run."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.processes import is_alive

    facts = run.facts()
    if facts.get("status") == "running" and is_alive(facts.get("process")):
        raise HandboneError(
            f"{run.path}: runs already, as process {facts['process']['pid']}; stop it with "
            f"`hb runs stop {run.path}`."
        )


def refuse_change(run: RunDirectory, recipe: Recipe, registry: Registry, way_out: str) -> None:
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
    from handbone_cli.commands.wiring.loading import gather
    from handbone_cli.commands.wiring.training import build_learner, describe, wire
    from handbone_cli.commands.wiring.weights import match_initial_weights
    from handbone_cli.errors import HandboneError, InterruptedRunError
    from handbone_cli.files import read_bytes, write_bytes
    from handbone_cli.networks.build import choose_device
    from handbone_cli.processes import describe_process
    from handbone_cli.terminal.progress import say
    from handbone_cli.terminal.training_table import TrainingTable
    from handbone_cli.training.loop import train as run_loop
    from handbone_cli.training.optimizer import try_optimizer
    from handbone_cli.training.trackers import check_trackers

    # What a recipe can get wrong comes before the run's folder, and what is quick before the data.
    try_optimizer(recipe.optimizer, choose_device())
    check_trackers(recipe, registry)
    match = None if resume else match_initial_weights(recipe, registry)
    data = gather(recipe, registry)
    learner = build_learner(recipe, data, registry, match, resume=resume)
    began = match.facts() if match else run.facts().get("initial_weights") if resume else None
    header = describe(recipe, data.dataset, data.training, began)
    if not resume:
        run.create(recipe, {**header, "status": "running"})
    say(
        f"{run.path}: {len(data.training)} images to train on, "
        f"{len(data.validation)} of people left out"
    )
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
    run.update_facts(
        status="finished",
        epochs=final.epoch,
        best_dice=final.best_dice,
        best_epoch=final.best_epoch,
    )
    click.echo(f"{run.path}: mean Dice {final.best_dice:.4f} in epoch {final.best_epoch}")
