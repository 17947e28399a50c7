"""`hb plugins list`: every component that is installed."""

from __future__ import annotations

import json

import click


@click.command("list")
@click.option("--kind", help="Only this kind, for example models.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(kind: str | None, as_json: bool) -> None:
    """Every component by kind and name, with the distribution it comes from."""
    from handbone_cli.host.hookspecs import KINDS, find_kind
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.tables import show_table

    only = find_kind(kind) if kind else None
    registry = installed()
    found = [
        (each.kind, each.name, f"{each.distribution} {each.version}", each.summary)
        for group in KINDS
        for _, each in sorted(registry.components[group].items())
        if only in (None, group)
    ]
    headings = ("kind", "name", "from", "summary")
    if as_json:
        click.echo(json.dumps([dict(zip(headings, row, strict=True)) for row in found]))
    else:
        show_table(headings, found)
    for broken in registry.broken:
        click.echo(
            f"{broken.distribution}: {broken.entry_point} cannot be loaded: {broken.reason}",
            err=True,
        )
