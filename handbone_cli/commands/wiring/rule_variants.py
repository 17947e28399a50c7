"""The variants of a spatial rule, from what the command line says of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.host.registry import Registry


def make_variants(
    text: str, class_names: Sequence[str], registry: Registry
) -> list[dict[str, Any]]:
    """`closing:radius=[2,4]` -> tables of [[postprocess]], one a variant.

    Options that are not said take the values of the rule's own grid, else their default.

    Raises:
        HandboneError: no such rule, or an option that it refuses.
    """
    from handbone_cli.errors import HandboneError
    from handbone_cli.recipe.load import parse_override
    from handbone_cli.recipe.schema import POSTPROCESS_KEYS

    name, *options = text.split(":")
    if not all("=" in option for option in options):
        raise HandboneError(
            f"--rule {text}: expected NAME or NAME:KEY=VALUE, for example closing:radius=[2,4]."
        )
    parsed = {
        ".".join(keys): value if isinstance(value, list) else [value]
        for keys, value in (parse_override(option, "--rule") for option in options)
    }
    if taken := POSTPROCESS_KEYS & set(parsed):
        raise HandboneError(
            f"--rule {text}: {', '.join(taken)} is what will be chosen; leave it out."
        )
    for key, values in parsed.items():
        if not values:
            raise HandboneError(f"--rule {text}: {key} has no value to try.")
    component = registry.get("postprocessors", name)
    grid = {**component.options_type().grid, **parsed}
    tables = [
        {"name": name, **dict(zip(grid, values, strict=True))}
        for values in itertools.product(*grid.values())
    ]
    build_variants(tables, class_names, registry)  # a wrong option is said before anything is read
    return tables


def build_variants(
    tables: Sequence[dict[str, Any]], class_names: Sequence[str], registry: Registry
) -> list[tuple[dict[str, Any], Any]]:
    """Each table with the rule that it makes."""
    from handbone_cli.commands.wiring.masks import build_rules

    scoped = build_rules(tables, class_names, registry)
    return [(table, each.rule) for table, each in zip(tables, scoped, strict=True)]
