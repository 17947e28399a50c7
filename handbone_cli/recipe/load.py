"""From TOML files and --set to a checked Recipe: extends, overrides, all mistakes at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover
    import tomli as tomllib

from pydantic import ValidationError

from handbone_cli.errors import HandboneError, RecipeError, closest
from handbone_cli.files import read_bytes, require
from handbone_cli.host.named_weights import weights_names
from handbone_cli.recipe.explain import (
    Origins,
    components,
    explain_errors,
    explain_options,
    nested_components,
)
from handbone_cli.recipe.schema import Recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.host.registry import Registry

Table: TypeAlias = "dict[str, Any]"

PATHS = {"data": frozenset({"root", "folds_file", "cache"}), "model": frozenset({"weights"})}
"""Keys of a section that are relative to their recipe's folder, or in --set to the current one."""


def shipped_folder() -> Path:
    """Where the recipes that come with handbone lie (in the wheel, or in a checkout)."""
    package = Path(__file__).resolve().parent
    inside = package / "shipped"
    return inside if inside.is_dir() else package.parent.parent / "recipes"


def find_recipe(name: str) -> Path:
    """A recipe by path, or a shipped one by its bare name (`quickstart`)."""
    path = Path(name)
    shipped = shipped_folder() / f"{name}.toml"
    if not path.exists() and path.suffix != ".toml" and not shipped.exists():
        known = [
            p.relative_to(shipped_folder()).with_suffix("")
            for p in shipped_folder().rglob("*.toml")
        ]
        hint = closest(name, (each.as_posix() for each in known))
        raise HandboneError(
            f"{name}: no such recipe, neither a file nor one that is shipped. {hint}"
        )
    return path if path.is_file() or not shipped.exists() else shipped


def parse_toml(path: Path) -> Table:
    """A TOML file as a table; one sentence with the place if it is missing or not TOML."""
    try:
        return tomllib.loads(read_bytes(require(path, "a TOML file")).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise HandboneError(f"{path}: not TOML: {error}.") from error


def read_tables(path: Path, origins: Origins, seen: tuple[Path, ...] = ()) -> Table:
    """A recipe's table on top of the one it extends; cycles are refused."""
    resolved = path.resolve()
    if resolved in seen:
        chain = " -> ".join(step.name for step in (*seen, resolved))
        raise HandboneError(f"{path}: recipes extend each other in a circle: {chain}.")
    table = parse_toml(path)
    base: Table = {}
    if "extends" in table:
        parent = named_by(path, str(table.pop("extends")))
        base = read_tables(
            require(parent, f"the recipe that {path} extends"), origins, (*seen, resolved)
        )
    for name, keys in PATHS.items():
        section = table.get(name)
        if isinstance(section, dict):
            for key in keys & section.keys():
                if isinstance(section[key], str) and not _is_name(path.parent, key, section[key]):
                    section[key] = str((path.parent / section[key]).resolve())
    return merge(base, table, origins, str(path))


def _is_name(folder: Path, key: str, value: str) -> bool:
    """Whether a value is the name of installed weights, and no file of the recipe's folder."""
    return key == "weights" and value in weights_names() and not (folder / value).exists()


def named_by(path: Path, name: str) -> Path:
    """The recipe that another one names: a file beside it, or a shipped one by its bare name."""
    beside = path.parent / name
    return find_recipe(name) if not beside.exists() and not Path(name).suffix else beside


def with_bases(path: Path) -> list[Path]:
    """A recipe file and every file it names: what it extends, or an ensemble's members."""
    table = parse_toml(path)
    named = [*([table["extends"]] if "extends" in table else []), *table.get("members", [])]
    below = [each for name in named for each in with_bases(named_by(path, name).resolve())]
    return list(dict.fromkeys([path, *below]))


def merge(
    base: Table, top: Table, origins: Origins, source: str, at: tuple[str, ...] = ()
) -> Table:
    """Tables merged key by key; a component by another name starts afresh."""
    result = dict(base)
    if at and "name" in top and top["name"] != base.get("name"):
        result = {}
    for key, value in top.items():
        where = (*at, key)
        origins[where] = source
        old = result.get(key)
        below: Table = old if isinstance(old, dict) else {}
        is_table = isinstance(value, dict)
        result[key] = merge(below, value, origins, source, where) if is_table else value
    return result


def parse_override(text: str, option: str = "--set") -> tuple[tuple[str, ...], Any]:
    """`train.epochs=5` -> its keys and TOML value; a bare word is a string."""
    key, separator, raw = text.partition("=")
    keys = tuple(part.strip() for part in key.split("."))
    if not separator or not all(keys):
        raise HandboneError(f"{option} {text}: expected KEY=VALUE, for example train.epochs=5.")
    try:
        return keys, tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        return keys, raw.strip()


def apply_overrides(
    table: Table, overrides: Sequence[str], origins: Origins, option: str = "--set"
) -> Table:
    """The table with every `KEY=VALUE` of an option laid on top."""
    # A name starts its component afresh, so names come first whatever the order they are said in.
    parsed = [parse_override(text, option) for text in overrides]
    for keys, value in sorted(parsed, key=lambda each: each[0][-1] != "name"):
        is_path = len(keys) == 2 and keys[1] in PATHS.get(keys[0], ())
        named = is_path and _is_name(Path(), keys[1], str(value))
        resolve = is_path and not named and not isinstance(value, bool)
        layer: Any = str(Path(str(value)).resolve()) if resolve else value
        for key in reversed(keys):
            layer = {key: layer}
        table = merge(table, layer, origins, option)
    return table


def check(table: Table, registry: Registry, origins: Origins, source: str) -> Recipe:
    """A Recipe, or a RecipeError with every mistake: schema, plugin names and plugin options."""
    problems: list[str] = []
    recipe: Recipe | None = None
    try:
        recipe = Recipe.model_validate(table)
    except ValidationError as error:
        problems += explain_errors(error, table, origins, source)
    problems += explain_options(table, registry, origins, source)
    if problems or recipe is None:
        raise RecipeError(problems)
    return recipe


def load_recipe(
    name: str, registry: Registry, overrides: Sequence[str] = (), *, fold: int | None = None
) -> Recipe:
    """Read, extend, override and check a recipe.

    Args:
        name: a path, or the bare name of a shipped recipe.
        registry: where plugin names and options are checked.
        overrides: `KEY=VALUE` texts of --set.
        fold: what --fold says of data.fold.

    Raises:
        RecipeError: all mistakes at once.
        HandboneError: no such file, not TOML, a circle of `extends`, an ensemble recipe.
    """
    path = find_recipe(name)
    origins: Origins = {}
    table = read_tables(path, origins)
    if "members" in table and "model" not in table:
        raise HandboneError(
            f"{name}: is an ensemble recipe, which names the recipes of its members; "
            f"`hb ensemble run {name}` takes it, and here one of them is expected."
        )
    table = apply_overrides(table, overrides, origins)
    if fold is not None:
        table = apply_overrides(table, [f"data.fold={fold}"], origins, "--fold")
    return check(table, registry, origins, str(path))


def with_defaults(recipe: Recipe, registry: Registry) -> Recipe:
    """The recipe with every option of its plugins that was not said, at the plugin's default."""
    table = recipe.model_dump(mode="json")
    for (*way, last), kind, name, options in components(table):
        place: Any = table
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        key = int(last) if isinstance(place, list) else last
        complete = complete_options(registry, kind, name, options)
        if isinstance(place[key], dict):
            place[key] |= complete
        elif complete:  # a tracker, by its name alone
            place[key] = {"name": name, **complete}
    return Recipe.model_validate(table)


def complete_options(registry: Registry, kind: str, name: str, options: Table) -> Table:
    """The options of a component with its defaults, and those of the components it names."""
    parsed = registry.parse_options(registry.get(kind, name), options)
    complete: Table = parsed.model_dump(mode="json", exclude_none=True)
    for path, below, inner, given in nested_components((), kind, parsed):
        key, index = path
        complete[key][int(index)] |= complete_options(registry, below, inner, given)
    return complete


def to_toml(recipe: Recipe) -> str:
    """The resolved recipe as TOML; loading it gives the same recipe."""
    import tomli_w

    return tomli_w.dumps(to_table(recipe))


def to_table(recipe: Recipe) -> Table:
    """The resolved recipe as a JSON-able table without empty values."""
    dumped: Table = recipe.model_dump(mode="json", exclude_none=True)
    return dumped


def from_table(table: Table, registry: Registry, source: str) -> Recipe:
    """A recipe from a run directory or a checkpoint, checked like any other."""
    return check(table, registry, {}, source)
