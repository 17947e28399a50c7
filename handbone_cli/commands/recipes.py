"""`hb recipes`: find, read and check recipes."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.group()
def recipes() -> None:
    """List, show, validate and copy recipes."""


@recipes.command("list")
def list_() -> None:
    """The recipes that come with handbone."""
    from handbone_cli.recipe.load import shipped_folder
    from handbone_cli.terminal.tables import show_table

    folder = shipped_folder()
    rows = []
    for path in sorted(folder.rglob("*.toml")):
        first = path.read_text().splitlines()[0].lstrip("# ")
        rows.append((path.relative_to(folder).with_suffix("").as_posix(), first))
    show_table(("recipe", "what it is"), rows)


@recipes.command()
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
def show(recipe: str, overrides: tuple[str, ...]) -> None:
    """RECIPE as it will run: extended, overridden, with every default."""
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe, to_toml, with_defaults

    registry = installed()
    resolved = with_defaults(load_recipe(recipe, registry, overrides), registry)
    click.echo(to_toml(resolved), nl=False)


@recipes.command()
@click.argument("recipe", nargs=-1, required=True)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
def validate(recipe: tuple[str, ...], overrides: tuple[str, ...]) -> None:
    """Check RECIPE without running it; every mistake at once."""
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.ensemble import is_ensemble, load_ensemble
    from handbone_cli.recipe.load import find_recipe, load_recipe

    for name in recipe:
        load = load_ensemble if is_ensemble(find_recipe(name)) else load_recipe
        load(name, installed(), overrides)
        click.echo(f"{name}: valid")


@recipes.command()
def schema() -> None:
    """The JSON Schema of a recipe, for editors."""
    from handbone_cli.recipe.schema import Recipe

    described = Recipe.model_json_schema()
    described["properties"]["extends"] = {"type": "string", "description": "a recipe to build on"}
    click.echo(json.dumps(described, indent=1))


@recipes.command()
@click.argument("recipe")
@click.option("-o", "--output", type=Path, default=Path(), help="Folder.  [default: this one]")
def copy(recipe: str, output: Path) -> None:
    """Copy a shipped RECIPE here, to change it; what it builds on comes along."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import read_bytes, write_bytes
    from handbone_cli.recipe.load import find_recipe, shipped_folder, with_bases

    folder = shipped_folder().resolve()
    source = find_recipe(recipe).resolve()
    if not source.is_relative_to(folder):
        raise HandboneError(
            f"{recipe}: a file of yours, not a shipped recipe; see `hb recipes list`."
        )
    target = output / source.relative_to(folder)
    if target.exists():
        raise HandboneError(f"{target}: is there already; remove it, or name another folder.")
    for path in with_bases(source):
        place = output / path.relative_to(folder)
        if not place.exists():
            write_bytes(place, read_bytes(path))
            click.echo(str(place))
