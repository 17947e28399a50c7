"""`hb plugins show`: what a component is and which options it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

WIDEST = 40


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[KIND] NAME")
@click.option("--kind", help="The same as KIND, where two kinds share the name.")
def show(words: tuple[str, ...], kind: str | None) -> None:
    """What NAME is, where it comes from and which options it takes.

    \b
    hb plugins show unet
    hb plugins show tta scale
    """
    *kinds, name = words if kind is None else (kind, *words)
    if len(kinds) > 1:
        raise click.UsageError(f"expected [KIND] NAME, got {' '.join((*kinds, name))}.")
    describe(name, kinds[0] if kinds else None)


def describe(name: str, kind: str | None) -> None:
    """Print what NAME is, of all kinds or of one.

    Raises:
        HandboneError: there is no such kind, or no such component of it.
    """
    from handbone_cli.errors import HandboneError, closest
    from handbone_cli.host.hookspecs import KINDS, find_kind
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.wording import type_name
    from handbone_cli.terminal.tables import show_table

    registry = installed()
    kinds = [find_kind(kind)] if kind else list(registry.components)
    found = [registry.components[k][name] for k in kinds if name in registry.components[k]]
    if not found:
        known = [each for k in kinds for each in registry.components[k]]
        one = KINDS[kinds[0]] if kind else "plugin"
        raise HandboneError(f"no {one} is named '{name}'. {closest(name, known)}")
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
