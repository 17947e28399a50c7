"""A run that starts from another one's weights: its recipe, and whom that one has trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.match import Match
    from handbone_cli.recipe.schema import Recipe

SLOWER = 10
"""What a run's learning rate is divided by for its continuation."""
SHORTER = 5
"""What its epochs are divided by."""
ANCESTRY = ("trained_persons", "initial_weights")
"""What a checkpoint passes on to those that start from it."""


def continuation(path: Path, registry: Registry) -> tuple[str, list[str]]:
    """A run's recipe file, and what a continuation of the run changes in it, as texts of --set.

    It starts from the run's best weights, at a tenth of its learning rate, without warmup, for a
    fifth of its epochs; everything must match, and the people of the fold stay left out.
    """
    from handbone_cli.commands.wiring.prediction import open_run, weights_file

    run = open_run(path)
    recipe = run.recipe(registry)
    weights_file(run)
    return str(run.recipe_file), [
        f"model.weights={run.path.resolve()}",
        *(["model.partial=false"] if recipe.model.partial else []),
        f"optimizer.lr={recipe.optimizer.lr / SLOWER:.6g}",
        "scheduler.warmup_epochs=0",
        f"train.epochs={max(1, round(recipe.train.epochs / SHORTER))}",
        "train.on=train",
    ]


def started_from(match: Match) -> dict[str, Any]:
    """What run.json and checkpoints say of initial weights: what matched, and who trained them."""
    header = match.file.header
    kept = {key: header[key] for key in ANCESTRY if key in header}
    return {**match.facts(), "recipe": {"data": data_of(header)}, **kept}


def refuse_leak(match: Match | None, recipe: Recipe, left_out: Sequence[Sample]) -> None:
    """One sentence if the initial weights know people whom the recipe's fold leaves out.

    People of other data can have the same names; then a line says so.
    """
    from handbone_cli.networks.match import MOST_NAMED, few
    from handbone_cli.recipe.load import to_table
    from handbone_cli.terminal.progress import say

    here = to_table(recipe)["data"]
    people = {sample.person for sample in left_out}
    for data, trained in trainings(match.file.header if match else {}):
        known = sorted(people & trained)
        if not known:
            continue
        said = f"{match.file.path if match else ''}: was trained on {len(known)} of the "
        said += f"{len(people)} people whom fold {recipe.data.fold} leaves out"
        if same_data(data, here):
            raise HandboneError(
                f"{said} ({few(known, MOST_NAMED)}), so that their Dice would prove nothing; leave "
                'out whom it left out (data.fold), or train on everybody (train.on = "all").'
            )
        say(f"{said}, if {data.get('root', 'its data')} has the same people under these names")


def trainings(header: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """Every training that weights went through, the last one first: its data and its people."""
    while header:
        yield data_of(header), set(header.get("trained_persons", ()))
        header = header.get("initial_weights", {})


def data_of(header: Mapping[str, Any]) -> dict[str, Any]:
    """The table of the data that a checkpoint's header tells of."""
    return dict(header.get("recipe", {}).get("data", {}))


def same_data(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two tables of data name the same images: one folder, or one way to draw them."""
    from handbone_cli.recipe.schema import Data

    own = {*one, *other} - Data.model_fields.keys() if one.get("root") is None else set()
    return all(one.get(key) == other.get(key) for key in ("dataset", "root", *own))
