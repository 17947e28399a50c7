"""`hb ensemble`: probabilities of several models to one decision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from handbone_cli.commands.ensemble_rules import rules

if TYPE_CHECKING:
    from handbone_cli.decision.cross_fitting import Choice
    from handbone_cli.decision.document import Decision


@click.group()
def ensemble() -> None:
    """Weigh models against each other."""


ensemble.add_command(rules)


@ensemble.command()
@click.argument("stores", nargs=-1, required=True, type=Path)
@click.option(
    "--per-class",
    is_flag=True,
    help="A set of weights for every bone; else one for all bones together.",
)
@click.option("--labels", help="Recipe, folder or CSV with the truth.  [default: the stores' own]")
@click.option(
    "--allow-seen", is_flag=True, help="Also use images of people a model was trained on."
)
@click.option("--seed", default=21, show_default=True, help="Of the groups of people.")
@click.option("-o", "--output", type=Path, required=True, help="Decision (.toml) to write.")
def optimize(
    stores: tuple[Path, ...],
    per_class: bool,
    labels: str | None,
    allow_seen: bool,
    seed: int,
    output: Path,
) -> None:
    """Choose the weights of STORES on people their models never saw, and judge by cross-fitting.

    Uniform weights stay unless others gain more than one standard error on people left out.

    \b
    hb ensemble optimize stores/a_val stores/b_val --per-class -o ensemble.toml
    """
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.decision import document
    from handbone_cli.decision import ensemble as decisions
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import refuse_foreign
    from handbone_cli.host.registry import installed
    from handbone_cli.store.store import Store
    from handbone_cli.terminal.progress import progress

    if output.suffix != ".toml":
        raise HandboneError(f"{output}: a decision is a .toml file; give -o such a name.")
    if len({path.resolve() for path in stores}) < len(stores):
        raise HandboneError("the same store is named twice.")
    refuse_foreign(output, "a decision", document.is_decision)
    opened = [Store.open(path) for path in stores]
    truth = open_labels(labels, opened, opened[0].class_names, installed())
    with progress("Counting tuples") as report:
        decision, choice = decisions.optimize(
            opened, truth, per_class=per_class, allow_seen=allow_seen, seed=seed, report=report
        )
    document.save(decision, output)
    if not decision.postprocess and any(s.manifest["settings"].get("postprocess") for s in opened):
        click.echo("the members' post-processing differs, so none is applied", err=True)
    show(decision, choice)
    click.echo(str(output))


def show(decision: Decision, choice: Choice) -> None:
    """The weights and what they are worth."""
    from handbone_cli.terminal.tables import show_table

    names = [path.name for path in decision.members]
    if decision.scores["per_class"] and choice.kept:
        rows = [
            (name, *(f"{w:.2f}" for w in weights), f"{gain:+.4f}")
            for name, weights, gain in zip(
                decision.class_names, decision.weights, choice.gain_per_class, strict=True
            )
        ]
        show_table(("bone", *names, "cross-fitted gain"), rows)
    else:
        show_table(("all bones", *names), [("weight", *(f"{w:.2f}" for w in decision.weights[0]))])
    click.echo(
        f"mean Dice: uniform {choice.uniform:.4f}, in-sample {choice.in_sample:.4f}, "
        f"cross-fitted {choice.cross_fitted:.4f}"
    )
    verdict = "kept" if choice.kept else "refused: uniform weights stay"
    click.echo(f"gain on people left out {choice.gain:+.4f} +- {choice.gain_error:.4f}: {verdict}")


@ensemble.command("run")
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key in all members."
)
@click.option(
    "--tta",
    multiple=True,
    metavar="NAME[:KEY=VALUE]",
    help="A view to average over; again for more, `none` for none.",
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
