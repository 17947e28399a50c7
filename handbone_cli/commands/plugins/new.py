"""`hb plugins new`: a small plugin that works, to begin with."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(short_help="Begin a plugin of your own.")
@click.argument("name")
@click.option(
    "--kind",
    required=True,
    metavar="KIND",
    help="model, dataset, loss, tta, postprocessor, preprocessor, loader, tracker or window.",
)
@click.option("-o", "--output", type=Path, help="Folder to make.  [default: handbone-NAME here]")
def new(name: str, kind: str, output: Path | None) -> None:
    """Write a plugin with one component, NAME: a distribution that works, a test, a README.

    \b
    hb plugins new my_unet --kind model
    hb plugins new my_loss --kind loss -o plugins/my_loss

    NAME is what a recipe will call it. The component is a small one of its kind; replace it.
    """
    import shlex

    from handbone_cli.host.hookspecs import find_kind
    from handbone_cli.host.registry import installed
    from handbone_cli.testing.scaffold import draft_plugin, write_plugin

    draft = draft_plugin(find_kind(kind), name, installed())
    folder = output or Path(draft.distribution)
    for path in write_plugin(draft, folder):
        click.echo(str(path))
    place = folder if folder.is_absolute() else f"./{folder.as_posix()}"
    click.echo("next:")
    click.echo(f"  pip install -e {shlex.quote(str(place))}")
    click.echo(f"  hb plugins check {draft.distribution}")
    click.echo(f"  hb train quickstart --set data.root=data --set {draft.setting}")
