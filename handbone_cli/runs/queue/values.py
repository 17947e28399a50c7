"""Values of a queue's `set` and `grid` as --set says them, and as the names of runs do."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.recipe.load import PATHS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

WORD = re.compile(r"(?!(?:true|false|inf|nan)$)[A-Za-z_][A-Za-z0-9_./-]*")
"""Text that --set takes as it is."""
UNNAMEABLE = re.compile(r"[^A-Za-z0-9._,+-]+")


def flatten(table: Mapping[str, Any], at: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys with their values: `optimizer.lr`, however the TOML nests them."""
    for key, value in table.items():
        where = f"{at}.{key}" if at else key
        if isinstance(value, dict) and value:
            yield from flatten(value, where)
        else:
            yield where, value


def override(key: str, value: Any, folder: Path) -> str:
    """`KEY=VALUE` for --set; a path is relative to the queue's folder, as one in a recipe is."""
    section, _, name = key.rpartition(".")
    if isinstance(value, str) and name in PATHS.get(section, ()):
        value = str((folder / value).resolve())
    plain = isinstance(value, str) and (WORD.fullmatch(value) or Path(value).is_absolute())
    return f"{key}={value if plain else toml_value(value)}"


def toml_value(value: Any) -> str:
    """A value of a TOML file in one line of TOML."""
    if isinstance(value, dict):
        inner = (f"{json.dumps(key)} = {toml_value(each)}" for key, each in value.items())
        return f"{{ {', '.join(inner)} }}"
    if isinstance(value, list):
        return f"[{', '.join(toml_value(each) for each in value)}]"
    if isinstance(value, (dt.date, dt.time)):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # JSON spells inf and nan differently
    return json.dumps(value, ensure_ascii=False)


def combinations(grid: Sequence[tuple[str, list[Any]]]) -> Iterator[dict[str, Any]]:
    """Every choice of one value a key; the last key changes fastest. {} for an empty grid."""
    keys = [key for key, _ in grid]
    for values in itertools.product(*(values for _, values in grid)):
        yield dict(zip(keys, values, strict=True))


def part_name(choice: Mapping[str, Any]) -> str:
    """`lr=1e-05-name=adamw`: keys by their last word, or whole where two end alike."""
    ends = [key.rpartition(".")[2] for key in choice]
    return "-".join(
        f"{end if ends.count(end) == 1 else key}={value_name(value)}"
        for (key, value), end in zip(choice.items(), ends, strict=True)
    )


def value_name(value: Any) -> str:
    """A value in characters that a file name may have."""
    if isinstance(value, list):
        return ",".join(value_name(each) for each in value)
    if isinstance(value, float):
        short = f"{value:g}"
        value = short if float(short) == value else repr(value)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return UNNAMEABLE.sub("_", text).strip("_") or "none"
