"""`hb check`: a dress rehearsal of a recipe before the long run."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(short_help="Rehearse a recipe in a minute.")
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(recipe: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Do everything that RECIPE asks for once, at full size, and say what the run will take.

    Two of its images go through three training steps, a checkpoint, one window with every view, a
    store and a CSV, all in a folder that is removed again. Every mistake on the way is told; the
    exit code is 1 if there is one.

    \b
    hb check nnunet --set data.root=../data
    """
    import tempfile

    from handbone_cli.commands.wiring.rehearsal import Rehearsal
    from handbone_cli.errors import HandboneError
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe, with_defaults
    from handbone_cli.terminal.tables import show_table

    registry = installed()
    resolved = with_defaults(load_recipe(recipe, registry, overrides), registry)
    try:
        scratch = tempfile.TemporaryDirectory(prefix=".hb-check-", dir=Path.cwd())
    except OSError as error:
        raise HandboneError(
            f"{Path.cwd()}: nothing can be written here: {error.strerror}."
        ) from error
    with scratch as folder:
        rehearsal = Rehearsal(resolved, registry, Path(folder))
        rehearsal.run(lambda stage: click.echo(f"{stage} ...", err=True))
    if as_json:
        keys = ("figures", "remarks", "mistakes")
        facts = {key: getattr(rehearsal, key) for key in keys}
        click.echo(json.dumps(facts))
    else:
        show_table(("what", "takes"), list(rehearsal.figures.items()))
        for remark in rehearsal.remarks:
            click.echo(f"note: {remark}")
        for mistake in rehearsal.mistakes:
            click.echo(f"mistake: {mistake}")
        click.echo("ready" if not rehearsal.mistakes else "not ready")
    if rehearsal.mistakes:
        raise click.exceptions.Exit(1)
