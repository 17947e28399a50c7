"""`hb ensemble`: probabilities of several models to one decision."""

from __future__ import annotations

from pathlib import Path

import click

from handbone_cli.commands.ensemble_rules import rules
from handbone_cli.commands.judged import judged
from handbone_cli.commands.vote import vote


@click.group()
def ensemble() -> None:
    """Weigh models against each other."""


ensemble.add_command(vote)
ensemble.add_command(rules)


@ensemble.command()
@click.argument("stores", nargs=-1, required=True, type=Path)
@click.option(
    "--per-class", "scope", flag_value="class", help="A set of weights for every bone; else one."
)
@click.option(
    "--per-group", "scope", flag_value="group",
    help="A set for bones that overlap, one for small bones, one for the rest.",
)  # fmt: skip
@click.option(
    "--thresholds", type=click.Choice(["half", "after", "joint"]), default="half",
    show_default=True, help="A threshold for every bone: none, for the weights found, with them.",
)  # fmt: skip
@click.option(
    "--range", "limits", nargs=2, type=float, default=(0.2, 0.8), show_default=True,
    metavar="LOW HIGH", help="Where to look for thresholds, in steps of 1/255.",
)  # fmt: skip
@click.option(
    "--method", type=click.Choice(["table", "greedy", "line", "source"]), default="table",
    show_default=True, help="How weights are looked for.",
)  # fmt: skip
@click.option(
    "--metric", type=click.Choice(["hard", "soft"]), default="hard", show_default=True,
    help="Dice that weights are looked for by; the verdict is by hard Dice.",
)  # fmt: skip
@judged
def optimize(
    stores: tuple[Path, ...],
    scope: str | None,
    thresholds: str,
    limits: tuple[float, float],
    method: str,
    metric: str,
    labels: str | None,
    allow_seen: bool,
    all_in: bool,
    folds: int,
    seed: int,
    picture: Path | None,
    workers: int | None,
    output: Path,
) -> None:
    """Choose the weights of STORES on people their models never saw, and judge by cross-fitting.

    Uniform weights stay unless others gain more than one standard error on people left out.

    \b
    hb ensemble optimize stores/a_val stores/b_val --per-class -o ensemble.toml
    hb ensemble optimize stores/a_val stores/b_val --per-class --thresholds joint -o e.toml
    """
    from handbone_cli.commands.wiring.deciding import decide
    from handbone_cli.decision.ensemble import Settings

    settings = Settings(
        scope or "all", method, metric, thresholds, limits, folds, seed, allow_seen, all_in
    )
    decide(stores, labels, settings, output, picture=picture, workers=workers)


@ensemble.command("run")
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key in all members."
)
@click.option(
    "--tta",
    multiple=True,
    metavar="NAME[:KEY=VALUE]",
    help="A view to average over, or a set such as `flip`; again for more, `none` for none.",
)
@click.option("-o", "--output", type=Path, required=True, help="Folder for everything.")
def run_(recipe: str, overrides: tuple[str, ...], tta: tuple[str, ...], output: Path) -> None:
    """Do the whole job of an ensemble RECIPE, printing every command.

    Run again with the same options, it continues where it stopped. It needs two people or more in
    the fold that is left out.

    \b
    hb ensemble run ensembles/winners --set data.root=../data -o work
    """
    from handbone_cli.commands.pipeline import Places, run_ensemble
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.ensemble import load_ensemble

    registry = installed()
    run_ensemble(
        load_ensemble(recipe, registry, overrides), overrides, tta, Places(output), registry
    )
