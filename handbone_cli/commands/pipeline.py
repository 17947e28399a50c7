"""The whole job of an ensemble recipe as ordinary commands: each printed, then run, once."""

from __future__ import annotations

import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.ensemble import Ensemble
    from handbone_cli.recipe.schema import Recipe


@dataclass(frozen=True)
class Places:
    """Where the parts of a job lie below one folder."""

    root: Path

    def run(self, member: str) -> Path:
        """A member's run directory."""
        return self.root / "runs" / member

    def store(self, member: str, split: str) -> Path:
        """A member's store of a split."""
        return self.root / "stores" / f"{member}_{split}"

    @property
    def decision(self) -> Path:
        """The ensemble's decision."""
        return self.root / "ensemble.toml"

    @property
    def submission(self) -> Path:
        """The CSV."""
        return self.root / "submission.csv"

    @property
    def pictures(self) -> Path:
        """Overlays and the contact sheet."""
        return self.root / "pictures"


def run_command(*argv: object) -> float:
    """Print an `hb` command, run it in this process, and give the seconds it took."""
    words = [str(word) for word in argv]
    click.secho(f"\n$ hb {shlex.join(words)}", bold=True)
    started = time.monotonic()
    group = click.get_current_context().find_root().command
    assert isinstance(group, click.Group)
    group.main(words, prog_name="hb", standalone_mode=False)
    return time.monotonic() - started


def run_ensemble(
    ensemble: Ensemble,
    overrides: Sequence[str],
    tta: Sequence[str],
    places: Places,
    registry: Registry,
) -> dict[str, float]:
    """Train, predict and evaluate every member, weigh them, submit and draw; seconds a member.

    A finished training is not repeated, a stopped one is resumed; predicting continues by itself.

    Raises:
        HandboneError: before anything runs, what would else go wrong after hours of training.
    """
    foresee(ensemble, tta, places, registry)
    seconds = {}
    has_test = bool(count_test_images(ensemble, registry))
    for file, recipe in ensemble.members:
        name = recipe.name
        seconds[name] = train_member(file, overrides, places.run(name))
        views = [word for view in tta for word in ("--tta", view)]
        for split in ("val", "test") if has_test else ("val",):
            store = places.store(name, split)
            seconds[name] += run_command(
                "predict",
                places.run(name),
                "-i",
                split,
                "--sliding",
                "--gaussian",
                *views,
                "-o",
                store,
            )
        run_command("evaluate", places.store(name, "val"))
    names = [recipe.name for _, recipe in ensemble.members]
    stores = [places.store(name, "val") for name in names]
    per_class = ["--per-class"] if ensemble.per_class else []
    run_command("ensemble", "optimize", *stores, *per_class, "-o", places.decision)
    tests = [word for name in names for word in ("--on", places.store(name, "test"))]
    on = tests if has_test else []
    run_command("submit", places.decision, *on, "-o", places.submission)
    run_command("visualize", places.decision, *on, "-o", places.pictures)
    return seconds


def foresee(ensemble: Ensemble, tta: Sequence[str], places: Places, registry: Registry) -> None:
    """Refuse other recipes' runs, unknown views, too few people and files that are not ours."""
    from handbone_cli.commands.visualize import SHEET, refuse_foreign_pictures
    from handbone_cli.commands.wiring.execution import refuse_change
    from handbone_cli.commands.wiring.prediction_options import with_options
    from handbone_cli.commands.wiring.weights import match_initial_weights
    from handbone_cli.decision.document import is_decision
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import refuse_foreign
    from handbone_cli.results.submission_rows import is_submission
    from handbone_cli.runs.directory import RunDirectory

    for _, recipe in ensemble.members:
        if recipe.train.on == "all":
            raise HandboneError(
                f'{recipe.name}: train.on = "all" leaves nobody out, and models are weighed on '
                "people left out; leave that key out."
            )
        run = RunDirectory(places.run(recipe.name))
        if run.last.exists() or run.best.exists():
            refuse_change(run, recipe, registry, "choose another -o")
        else:
            match_initial_weights(recipe, registry)
        with_options(recipe, registry, {}, tta)
    require_two_people(ensemble.members[0][1], registry)
    refuse_foreign(places.decision, "a decision", is_decision)
    refuse_foreign(places.submission, "a submission", is_submission)
    refuse_foreign_pictures(places.pictures, [SHEET], set())


def require_two_people(recipe: Recipe, registry: Registry) -> None:
    """Cross-fitting leaves people out of those that the members' fold left out."""
    from handbone_cli.data.sources import open_dataset, training_and_validation
    from handbone_cli.errors import HandboneError

    _, left_out = training_and_validation(open_dataset(recipe, registry), recipe)
    people = {sample.person for sample in left_out}
    if len(people) < 2:
        data = recipe.data
        raise HandboneError(
            f"data.folds = {data.folds} leaves one person out in fold {data.fold}, and weighing "
            "models takes two at least; lower data.folds or bring more people."
        )


def train_member(file: Path, overrides: Sequence[str], run: Path) -> float:
    """Train a member unless that is done; resume it if it was stopped."""
    from handbone_cli.runs.directory import RunDirectory

    directory = RunDirectory(run)
    if directory.last.exists() or directory.best.exists():
        if directory.facts().get("status") == "finished":
            click.echo(f"{run}: trained already")
            return 0.0
        return run_command("train", "--resume", run)
    sets = [word for override in overrides for word in ("--set", override)]
    return run_command("train", shipped_name(file), *sets, "-o", run)


def shipped_name(file: Path) -> str:
    """What a user would type for a recipe: its bare name where it came with handbone."""
    from handbone_cli.recipe.load import shipped_folder

    path, folder = file.resolve(), shipped_folder().resolve()
    if not path.is_relative_to(folder):
        return str(file)
    return path.relative_to(folder).with_suffix("").as_posix()


def count_test_images(ensemble: Ensemble, registry: Registry) -> int:
    """How many test images the members' dataset has."""
    from handbone_cli.data.sources import open_dataset

    return len(open_dataset(ensemble.members[0][1], registry).samples("test"))
