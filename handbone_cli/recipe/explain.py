"""What is wrong with a recipe, in words: file, key, value, what was expected, the nearest name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from pydantic import BaseModel, ValidationError

from handbone_cli.errors import HandboneError, closest
from handbone_cli.recipe.schema import (
    MODEL_KEYS,
    POSTPROCESS_KEYS,
    TRACKER_BRANCHES,
    Data,
    Recipe,
)
from handbone_cli.recipe.wording import expected, value_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handbone_cli.host.registry import Registry

Origins: TypeAlias = "dict[tuple[str, ...], str]"
"""Key path -> the file (or '--set') that gave it."""

LISTS = {"preprocess": "preprocessors", "tta": "tta", "postprocess": "postprocessors"}
OURS = {
    "datasets": frozenset(Data.model_fields),
    "models": MODEL_KEYS,
    "postprocessors": POSTPROCESS_KEYS,
}
"""Keys beside a plugin's own, by kind."""


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
        if known is None:
            said = _expectation(dict(problem), _keys_at(path[:-1]), _keys_elsewhere(path))
        else:
            said = _expectation(dict(problem), known, [])
        if problem["type"] == "model_type" and _is_branch(problem["loc"][-1]):
            said += " or a name" if problem["loc"][-1] in TRACKER_BRANCHES else " or false"
        lines.append(_line(path, said, table, origins, source))
    return list(dict.fromkeys(lines))


def explain_options(
    table: dict[str, Any], registry: Registry, origins: Origins, source: str
) -> list[str]:
    """Plugin names that nobody has, and options that the named plugin refuses."""
    lines, waiting = [], list(components(table))
    while waiting:
        path, kind, name, options = waiting.pop(0)
        where = _key_of_name(path, kind, table)
        try:
            component = registry.get(kind, name)
        except HandboneError as error:
            lines.append(_line(where, str(error).rstrip("."), table, origins, source))
            continue
        model = component.options_type()
        try:
            parsed = model.model_validate(options)
        except ValidationError as error:
            known = set(model.model_fields)
            known |= OURS.get(kind, frozenset())
            for problem in error.errors():
                key = (*path, *(str(part) for part in problem["loc"]))
                said = _expectation(dict(problem), known, _keys_elsewhere(key))
                lines.append(_line(key, said, table, origins, source))
            continue
        waiting += nested_components(path, kind, parsed)
    return lines + _unknown_loader(table, registry, origins, source)


def components(
    table: dict[str, Any],
) -> Iterator[tuple[tuple[str, ...], str, str, dict[str, Any]]]:
    """Every plugin that a recipe names: key path, kind, name, options."""
    data = table.get("data", {})
    if isinstance(data, dict):
        name = data.get("dataset", "competition")
        yield ("data",), "datasets", str(name), _own_options(data, "datasets")
    predict = table.get("predict")
    weight = predict.get("weight") if isinstance(predict, dict) else None
    for path, section, kind in (
        (("model",), table.get("model"), "models"),
        (("loss",), table.get("loss"), "losses"),
        (("predict", "weight"), weight, "windows"),
    ):
        if isinstance(section, dict) and isinstance(section.get("name"), str):
            yield path, kind, section["name"], _own_options(section, kind)
    for key, kind in LISTS.items():
        sections = table.get(key)
        for index, section in enumerate(sections if isinstance(sections, list) else []):
            if isinstance(section, dict) and isinstance(section.get("name"), str):
                yield (key, str(index)), kind, section["name"], _own_options(section, kind)
    for place, section in enumerate(_entries(table)):
        where = ("tracking", "trackers", str(place))
        if isinstance(section, str):
            yield where, "trackers", section, {}
        elif isinstance(section, dict) and isinstance(section.get("name"), str):
            yield where, "trackers", section["name"], _own_options(section, "trackers")


def nested_components(
    path: tuple[str, ...], kind: str, options: BaseModel
) -> list[tuple[tuple[str, ...], str, str, dict[str, Any]]]:
    """Components of the same kind that a component names in a list, as `combined` does its terms.

    A table of such a list has a field `name` and lets further keys through: they are the named
    component's own options.
    """
    return [
        ((*path, key, str(index)), kind, each.name, dict(each.model_extra or {}))
        for key in type(options).model_fields
        if isinstance(getattr(options, key), (tuple, list))
        for index, each in enumerate(getattr(options, key))
        if is_nested(each)
    ]


def is_nested(value: object) -> TypeGuard[Any]:
    """Whether a value of an option names another component, with options of its own."""
    return (
        isinstance(value, BaseModel)
        and value.model_config.get("extra") == "allow"
        and isinstance(getattr(value, "name", None), str)
    )


def _unknown_loader(
    table: dict[str, Any], registry: Registry, origins: Origins, source: str
) -> list[str]:
    """The loader, which a recipe names without options."""
    data = table.get("data", {})
    name = data.get("loader", "auto") if isinstance(data, dict) else "auto"
    try:
        if name != "auto":
            registry.get("loaders", str(name))
    except HandboneError as error:
        return [_line(("data", "loader"), str(error).rstrip("."), table, origins, source)]
    return []


def _entries(table: dict[str, Any]) -> list[Any]:
    """What a recipe says in tracking.trackers, names or tables."""
    tracking = table.get("tracking", {})
    entries = tracking.get("trackers", []) if isinstance(tracking, dict) else []
    return list(entries) if isinstance(entries, (list, tuple)) else []


def _key_of_name(path: tuple[str, ...], kind: str, table: dict[str, Any]) -> tuple[str, ...]:
    """The key that names a component."""
    if isinstance(_value(table, path), str):  # a tracker, by its name alone
        return path
    return (*path, "dataset" if kind == "datasets" else "name")


def _own_options(section: dict[str, Any], kind: str) -> dict[str, Any]:
    """What a table says to the plugin itself."""
    ours = OURS.get(kind, frozenset())
    return {key: value for key, value in section.items() if key != "name" and key not in ours}


def _is_branch(part: object) -> bool:
    """Whether a part of pydantic's location names a union's branch and not a key."""
    return part == "Clahe" or part in TRACKER_BRANCHES


def _expectation(problem: dict[str, Any], known: set[str], elsewhere: list[str]) -> str:
    if problem["type"] == "extra_forbidden":
        hint = closest(str(problem["loc"][-1]), known, elsewhere)
        return f"there is no such key. {hint}".rstrip(".")
    return "this key is missing" if problem["type"] == "missing" else expected(problem)


def _keys_at(path: tuple[str, ...]) -> set[str]:
    """The keys that the schema knows in a table."""
    model = _model_at(path) or Recipe
    return set(model.model_fields) | ({"extends"} if model is Recipe else set())


def _model_at(path: tuple[str, ...]) -> type[BaseModel] | None:
    """The schema of a table; None where a key holds no table."""
    model: type[BaseModel] | None = Recipe
    for part in path:
        inner = getattr((model or Recipe).model_fields.get(part), "annotation", None)
        options = [inner, *getattr(inner, "__args__", ())]
        models = (t for t in options if isinstance(t, type) and issubclass(t, BaseModel))
        model = next(models, None)
    return model


def _keys_elsewhere(path: tuple[str, ...]) -> list[str]:
    """The keys of all sections but the one of `path`, dotted: `train.epochs`, `seed`."""
    sections = [key for key in Recipe.model_fields if (key,) != path[:-1]]
    models = {key: _model_at((key,)) for key in sections}
    below = [f"{key}.{each}" for key, model in models.items() if model
             for each in model.model_fields if each != "name"]  # fmt: skip
    return ([key for key in sections if key != "name"] if path[:-1] else []) + below


def _line(
    path: tuple[str, ...], said: str, table: dict[str, Any], origins: Origins, source: str
) -> str:
    origin = next(
        (origins[path[:end]] for end in range(len(path), 0, -1) if path[:end] in origins), source
    )
    value = _value(table, path)
    known = value is not _ABSENT and not isinstance(value, dict)
    shown = f" = {value_name(value, quoted=True)}" if known else ""
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
