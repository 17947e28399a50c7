"""What is wrong with a recipe, in words: file, key, value, what was expected, the nearest name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ValidationError

from handbone_cli.errors import HandboneError, closest
from handbone_cli.recipe.schema import Data, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handbone_cli.host.registry import Registry

Origins: TypeAlias = "dict[tuple[str, ...], str]"
"""Key path -> the file (or '--set') that gave it."""

_LISTS = {"tta": "tta", "postprocess": "postprocessors"}


def explain_errors(
    error: ValidationError,
    table: dict[str, Any],
    origins: Origins,
    source: str,
    known: set[str] | None = None,
) -> list[str]:
    """Pydantic's complaints as our lines; `known` keys are the recipe's by default."""
    lines = []
    for problem in error.errors():
        if "literal[False]" in problem["loc"]:  # the same value, refused by the other branch
            continue
        path = tuple(str(part) for part in problem["loc"] if not _is_branch(part))
        lines.append(_line(path, _expectation(dict(problem), path, known), table, origins, source))
    return list(dict.fromkeys(lines))


def explain_options(
    table: dict[str, Any], registry: Registry, origins: Origins, source: str
) -> list[str]:
    """Plugin names that nobody has, and options that the named plugin refuses."""
    lines = []
    for path, kind, name, options in _components(table):
        where = (*path, "dataset" if kind == "datasets" else "name")
        try:
            component = registry.get(kind, name)
        except HandboneError as error:
            lines.append(_line(where, str(error).rstrip("."), table, origins, source))
            continue
        model = component.options_type()
        try:
            model.model_validate(options)
        except ValidationError as error:
            for problem in error.errors():
                key = (*path, *(str(part) for part in problem["loc"]))
                known = set(model.model_fields)
                known |= set(Data.model_fields) if kind == "datasets" else set()
                expected = _expectation(dict(problem), key, known)
                lines.append(_line(key, expected, table, origins, source))
    return lines + _unknown_names(table, registry, origins, source)


def _components(
    table: dict[str, Any],
) -> Iterator[tuple[tuple[str, ...], str, str, dict[str, Any]]]:
    """Every plugin that a recipe names: key path, kind, name, options."""
    data = table.get("data", {})
    if isinstance(data, dict):
        name = data.get("dataset", "competition")
        own = {key: value for key, value in data.items() if key not in Data.model_fields}
        yield ("data",), "datasets", str(name), own
    for key, kind in (("model", "models"), ("loss", "losses")):
        section = table.get(key)
        if isinstance(section, dict) and isinstance(section.get("name"), str):
            yield (key,), kind, section["name"], _without_name(section)
    for key, kind in _LISTS.items():
        sections = table.get(key)
        for index, section in enumerate(sections if isinstance(sections, list) else []):
            if isinstance(section, dict) and isinstance(section.get("name"), str):
                yield (key, str(index)), kind, section["name"], _without_name(section)


def _unknown_names(
    table: dict[str, Any], registry: Registry, origins: Origins, source: str
) -> list[str]:
    """Loaders and trackers, which a recipe names without options."""
    wanted: list[tuple[tuple[str, ...], str, Any]] = []
    data, tracking = table.get("data", {}), table.get("tracking", {})
    if isinstance(data, dict) and data.get("loader", "auto") != "auto":
        wanted.append((("data", "loader"), "loaders", data["loader"]))
    if isinstance(tracking, dict) and isinstance(tracking.get("trackers"), list):
        wanted += [(("tracking", "trackers"), "trackers", name) for name in tracking["trackers"]]
    lines = []
    for path, kind, name in wanted:
        try:
            registry.get(kind, str(name))
        except HandboneError as error:
            lines.append(_line(path, str(error).rstrip("."), table, origins, source))
    return lines


def _without_name(section: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "name"}


def _is_branch(part: object) -> bool:
    """Whether a part of pydantic's location names a union's branch and not a key."""
    return part == "Clahe"


def _expectation(
    problem: dict[str, Any], path: tuple[str, ...], known: set[str] | None = None
) -> str:
    if problem["type"] == "extra_forbidden":
        names = known if known is not None else _keys_at(path[:-1])
        return f"there is no such key. {closest(path[-1], names)}".rstrip(".")
    if problem["type"] == "missing":
        return "this key is missing"
    message = str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "value_error":
        return message
    return f"expected: {message[0].lower()}{message[1:]}".replace(
        "expected: input should", "it should"
    )


def _keys_at(path: tuple[str, ...]) -> set[str]:
    """The keys that the schema knows in a table."""
    model: type[BaseModel] = Recipe
    for part in path:
        field = model.model_fields.get(part)
        inner = getattr(field, "annotation", None)
        options = [inner, *getattr(inner, "__args__", ())]
        model = next(
            (t for t in options if isinstance(t, type) and issubclass(t, BaseModel)), Recipe
        )
    return set(model.model_fields) | ({"extends"} if model is Recipe else set())


def _line(
    path: tuple[str, ...], said: str, table: dict[str, Any], origins: Origins, source: str
) -> str:
    origin = next(
        (origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins), source
    )
    value = _value(table, path)
    shown = "" if value is _ABSENT or isinstance(value, dict) else f" = {value!r}"
    return f"{origin}: {'.'.join(path) or 'recipe'}{shown}: {said}."


_ABSENT = object()


def _value(table: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if isinstance(table, dict) and part in table:
            table = table[part]
        elif isinstance(table, list) and part.isdigit() and int(part) < len(table):
            table = table[int(part)]
        else:
            return _ABSENT
    return table
