"""`hb plugins show`: what a component is and which options it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

WIDEST = 40


@click.command()
@click.argument("name")
@click.option("--kind", help="Where two kinds share the name.")
def show(name: str, kind: str | None) -> None:
    """What NAME is, where it comes from and which options it takes."""
    from handbone_cli.errors import HandboneError, closest
    from handbone_cli.host.hookspecs import find_kind
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.wording import type_name
    from handbone_cli.terminal.tables import show_table

    registry = installed()
    kinds = [find_kind(kind)] if kind else list(registry.components)
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
