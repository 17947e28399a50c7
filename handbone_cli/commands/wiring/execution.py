"""One run from its recipe to its end: refused early, handed to others, or executed here."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.cross_validation import CrossValidation
    from handbone_cli.runs.directory import RunDirectory
    from handbone_cli.terminal.training_table import TrainingTable

RESUME = "resume it without RECIPE and --set, or start a new run with another -o"


def refuse_devices(devices: int, recipe: Recipe) -> None:
    """One sentence if so many are not there, or cannot share a batch, or torchrun is at work."""
    from handbone_cli.networks.build import require_shares

    if devices > 1:
        refuse_missing(devices)
        require_shares(recipe, devices)


def refuse_missing(devices: int) -> None:
    """One sentence if so many devices are not there, or torchrun is at work."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.ranks import rank_count

    if rank_count() > 1:
        raise HandboneError(
            "--devices starts the processes of a run by itself; leave it out under torchrun."
        )
    import torch

    there = torch.cuda.device_count()
    if 0 < there < devices:
        gpus = "is 1 GPU" if there == 1 else f"are {there} GPUs"
        raise HandboneError(f"--devices {devices}: there {gpus}; name no more than that.")


def hand_over(run: RunDirectory, words: list[str], devices: int, background: bool) -> None:
    """Run a command line in the background, or as several processes of one run, or both."""
    from handbone_cli.runs.launch import launch_training

    if background:
        detach(run, [*words, *([f"--devices={devices}"] if devices > 1 else [])])
        return
    click.get_current_context().exit(launch_training(devices, words, run.last))


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
    from handbone_cli.processes import is_alive

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
    """Wire data, network, loss, validation and display into the loop, and run it.

    Of several processes of the run all do the same; the first one writes and speaks.
    """
    from handbone_cli.networks.collectives import join_ranks, leave_ranks
    from handbone_cli.runs.launch import follow_parent, stop_listening

    follow_parent()
    join_ranks()
    _execute(recipe, run, registry, resume=resume)
    stop_listening()
    leave_ranks()


def _execute(recipe: Recipe, run: RunDirectory, registry: Registry, *, resume: bool) -> None:
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
    from handbone_cli.networks.build import choose_device
    from handbone_cli.networks.memory_in_use import memory_in_use
    from handbone_cli.processes import describe_process
    from handbone_cli.ranks import is_main
    from handbone_cli.terminal.progress import say
    from handbone_cli.terminal.training_table import Companion, TrainingTable
    from handbone_cli.training.loop import train as run_loop

    # What a recipe can get wrong comes before the run's folder, and what is quick before the data.
    refuse_before_data(recipe, registry)
    match = None if resume else match_initial_weights(recipe, registry)
    data = gather(recipe, registry)
    refuse_leak(match, recipe, data.validation)
    learner = build_learner(recipe, data, registry, match, resume=resume)
    began = started_from(match) if match else run.facts().get("initial_weights") if resume else None
    header = describe(recipe, data.dataset, data.training, began)
    if not is_main():
        job = wire(recipe, data, learner, run, registry, header, Companion())
        run_loop(job, resume=resume)
        return
    if not resume:
        # Whoever looks now finds a run whose process is known.
        run.create(recipe, {**header, "status": "running", "process": describe_process()})
    say(f"{run.path}: {describe_people(data)}")
    memory = functools.partial(memory_in_use, choose_device())
    table = TrainingTable(recipe.name, data.dataset.class_names, recipe.train.epochs, memory)
    with _told_in_facts(run, table, resume=resume), table as observer:
        job = wire(recipe, data, learner, run, registry, header, observer)
        if job.groups.small:
            run.update_facts(small_bone_names=job.groups.small_names(data.dataset.class_names))
        try:
            final = run_loop(job, resume=resume)
        finally:
            job.trackers.close()
    best_dice = final.best_dice if final.best_epoch else None
    run.update_facts(
        status="finished", epochs=final.epoch, best_dice=best_dice, best_epoch=final.best_epoch
    )
    scored = f"mean Dice {final.best_dice:.4f} in epoch {final.best_epoch}"
    unscored = f"trained to epoch {final.epoch}, without validation"
    click.echo(f"{run.path}: {unscored if best_dice is None else scored}")


@contextlib.contextmanager
def _told_in_facts(run: RunDirectory, table: TrainingTable, *, resume: bool) -> Iterator[None]:
    """Say in run.json that a run is under way, and what became of it unless it is finished."""
    from handbone_cli.errors import HandboneError, InterruptedRunError
    from handbone_cli.files import read_bytes, write_bytes
    from handbone_cli.processes import describe_process

    before = read_bytes(run.facts_file)
    run.update_facts(status="running", process=describe_process(), said="")
    try:
        yield
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
