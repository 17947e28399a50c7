"""`hb demo`: the whole job on generated hands, in minutes, on a CPU."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

import click

if TYPE_CHECKING:
    from handbone_cli.commands.pipeline import Places
    from handbone_cli.host.registry import Registry
    from handbone_cli.results.evaluation import Evaluation


class Plan(TypedDict):
    """How large a demo is."""

    people: int
    test_people: int
    sets: tuple[str, ...]


FULL: Plan = {"people": 40, "test_people": 4, "sets": ()}
FAST_SETS = ("data.resize=192", "data.patch=192", "predict.window=192", "predict.stride=96",
             "train.epochs=25", "train.val_every=25")  # fmt: skip
FAST: Plan = {"people": 40, "test_people": 2, "sets": FAST_SETS}


@click.command(short_help="The whole job on generated hands.")
@click.option(
    "-o", "--output", type=Path, default=Path("hb-demo"), show_default=True, help="Folder."
)
@click.option("--fast", is_flag=True, help="Fewer hands and epochs; what CI runs.")
@click.option("--least", type=click.FloatRange(0, 1), help="Fail if the ensemble's Dice is below.")
def demo(output: Path, fast: bool, least: float | None) -> None:
    """Generate hands, train two small models, weigh them, submit and draw.

    Every step is an ordinary command, printed before it runs; run again to continue.
    """
    from handbone_cli.commands.pipeline import Places, run_command, run_ensemble
    from handbone_cli.errors import HandboneError
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.ensemble import load_ensemble

    started, registry, places = time.monotonic(), installed(), Places(output)
    plan = FAST if fast else FULL
    hands = output / "data"
    run_command("data", "generate", "--people", plan["people"],
                "--test-people", plan["test_people"], "--size", 512, "-o", hands)  # fmt: skip
    overrides = (f"data.root={hands}", *plan["sets"])
    ensemble = load_ensemble("ensembles/quickstart", registry, overrides)
    seconds = run_ensemble(ensemble, overrides, ("hflip",), places, registry)
    result = show_results(places, seconds, registry)
    took = time.monotonic() - started
    click.echo(f"masks {places.submission}, pictures {places.pictures}, weights {places.decision}")
    click.echo(f"look at {places.pictures / 'contact_sheet.png'}; done in {took:.0f} s")
    if least is not None and result < least:
        raise HandboneError(f"the ensemble's mean Dice is {result:.4f}; expected {least} or more.")


def show_results(places: Places, seconds: dict[str, float], registry: Registry) -> float:
    """The closing table; gives the ensemble's mean Dice on the test people."""
    from handbone_cli.commands.evaluate import score
    from handbone_cli.decision import document
    from handbone_cli.terminal.tables import show_table

    rows = []
    for name, took in seconds.items():
        validation = score(places.store(name, "val"), None, (), registry)
        test = score(places.store(name, "test"), None, (), registry)
        rows.append((name, f"{validation.mean:.4f}", *columns(test), f"{took:.0f}"))
    scores = document.load(places.decision).scores
    on = tuple(places.store(name, "test") for name in seconds)
    final = score(places.decision, None, on, registry)
    total = f"{sum(seconds.values()):.0f}"
    rows.append(("ensemble", f"{scores['cross_fitted']:.4f}", *columns(final), total))
    click.echo()
    show_table(
        ("model", "Dice, left out", "Dice, test", "worst bone", "seconds"), rows, title="hb demo"
    )
    click.echo("left out: people no model was trained on; the ensemble's is cross-fitted")
    return final.mean


def columns(result: Evaluation) -> tuple[str, str]:
    """Mean Dice and the worst bone of an evaluation."""
    name, dice = result.worst_class
    return f"{result.mean:.4f}", f"{name} {dice:.3f}"
