"""Pydantic's types and complaints in words for people: what a key takes, what was expected."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES: dict[object, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    type(None): "none",
    Any: "anything",
}
LISTS = (tuple, list, set, frozenset)

EXPECTED = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "finite_number": "a finite number",
    "string": "text",
    "path": "a path",
    "tuple": "a list",
    "list": "a list",
    "set": "a list",
    "model": "a table",
    "model_attributes": "a table",
    "dict": "a table",
    "dataclass": "a table",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "too_short": "at least {min_length} values, not {actual_length}",
    "too_long": "at most {max_length} values, not {actual_length}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
    "string_pattern_mismatch": "text that matches {pattern}",
}
"""Kind of a pydantic error, without `_type`, `_parsing` and the like -> what was expected."""
ENDINGS = ("_type", "_parsing", "_parsing_size", "_from_float")


def expected(problem: Mapping[str, Any]) -> str:
    """What a pydantic error asks for: `expected a whole number`; its own words if unknown."""
    kind = str(problem["type"])
    for ending in ENDINGS:
        kind = kind.removesuffix(ending)
    if kind in EXPECTED:
        context = {key: _number(value) for key, value in problem.get("ctx", {}).items()}
        return f"expected {EXPECTED[kind].format(**context)}"
    message = str(problem["msg"]).removeprefix("Value error, ")
    return message if kind == "value_error" else f"{message[0].lower()}{message[1:]}"


def _number(value: object) -> object:
    """1.0 as people write it."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def type_name(annotation: object) -> str:
    """A type as people say it: `list of whole numbers`, `instance | batch`, `table`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_name(inner[0])
    if origin is Literal:
        return " | ".join(value_name(value) for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(type_name(each) for each in inner))
    if origin in LISTS or annotation in LISTS:
        return _list_name(origin, inner)
    if annotation in NAMES:
        return NAMES[annotation]
    name = getattr(origin or annotation, "__name__", str(annotation))
    if name == "Path":
        return "path"
    return "table" if name == "dict" or hasattr(annotation, "model_fields") else name


def _list_name(origin: object, inner: tuple[Any, ...]) -> str:
    kinds = list(dict.fromkeys(type_name(each) for each in inner if each is not Ellipsis))
    if len(kinds) != 1:
        return f"list of {', '.join(kinds)}" if kinds else "list"
    fixed = origin is tuple and Ellipsis not in inner
    return f"list of {f'{len(inner)} ' if fixed else ''}{_plural(kinds[0])}"


def _plural(kind: str) -> str:
    if kind.startswith("list of "):
        return f"lists{kind.removeprefix('list')}"
    return kind if " or " in kind or " | " in kind or kind == "anything" else f"{kind}s"


def value_name(value: object, *, quoted: bool = False) -> str:
    """A value as a recipe has it: `true`, `[32, 64]`, `none`; text without quotes by default."""
    if value is None:
        return "none"
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(value_name(each, quoted=quoted) for each in value)}]"
    if isinstance(value, dict):
        pairs = (f"{key} = {value_name(each, quoted=quoted)}" for key, each in value.items())
        return f"{{ {', '.join(pairs)} }}" if value else "{}"
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if quoted and isinstance(value, str) else str(value)
