"""`hb plugins`: what is installed, and what it takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

WIDEST = 40


@click.group()
def plugins() -> None:
    """List and explain plugins."""


@plugins.command("list")
@click.option("--kind", help="Only this kind, for example models.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(kind: str | None, as_json: bool) -> None:
    """Every component by kind and name, with the distribution it comes from."""
    from handbone_cli.errors import HandboneError, closest
    from handbone_cli.host.hookspecs import KINDS
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.tables import show_table

    if kind is not None and kind not in KINDS:
        raise HandboneError(f"no kind of plugin is called '{kind}'. {closest(kind, KINDS)}")
    registry = installed()
    found = [
        (each.kind, each.name, f"{each.distribution} {each.version}", each.summary)
        for group in KINDS
        for _, each in sorted(registry.components[group].items())
        if kind in (None, group)
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


@plugins.command()
@click.argument("name")
@click.option("--kind", help="Where two kinds share the name.")
def show(name: str, kind: str | None) -> None:
    """What NAME is, where it comes from and which options it takes."""
    from handbone_cli.errors import HandboneError, closest
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.wording import type_name
    from handbone_cli.terminal.tables import show_table

    registry = installed()
    kinds = [k for k in registry.components if kind in (None, k)]
    found = [registry.components[k][name] for k in kinds if name in registry.components[k]]
    if not found:
        known = [each for k in kinds for each in registry.components[k]]
        raise HandboneError(f"no plugin is named '{name}'. {closest(name, known)}")
    for component in found:
        click.echo(f"{component.kind} {component.name}: {component.summary}")
        click.echo(f"from {component.distribution} {component.version}")
        fields = component.options_type().model_fields
        rows = [
            (key, type_name(field.annotation), _default(field), field.description or "")
            for key, field in fields.items()
        ]
        if rows:
            show_table(("option", "type", "default", "what it is"), rows)
        else:
            click.echo("no options")


def _default(field: FieldInfo) -> str:
    """A default as TOML has it, cut where it is long; `required` where there is none."""
    from handbone_cli.recipe.wording import value_name

    if field.is_required():
        return "required"
    text = value_name(field.get_default(call_default_factory=True))
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 4]} ..."
