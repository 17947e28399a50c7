"""Metrics on the screen: a table a breakdown, a column a metric, and what they are over all."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

from handbone_cli.terminal.tables import show_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

NOTHING = "-"
LEFT_OUT = "left out"


def show_metrics(tables: Sequence[Sequence[Row]], overall: Sequence[Row], title: str) -> None:
    """Print the means of every breakdown, and those over everything with their errors.

    Args:
        tables: rows of `Measures.rows`, a list a breakdown.
        overall: those of no breakdown.
        title: what was measured.
    """
    for place, table in enumerate(tables):
        _show(table, title if place == 0 else "")
    for row in overall:
        print(_sentence(row))
    left_out = max((row["left_out"] for row in overall), default=0)
    if left_out:
        bones = "1 bone is" if left_out == 1 else f"{left_out} bones are"
        print(
            f"{bones} in the masks or in the labels alone: endlessly far, and left out of the "
            "distances (--penalise counts the image's diagonal)"
        )


def _show(table: Sequence[Row], title: str) -> None:
    for _, block in groupby(table, key=_is_pair):
        rows = list(block)
        keys = str(rows[0]["by"]).split("+")
        headings = list(dict.fromkeys(row["heading"] for row in rows))
        groups = [list(group) for _, group in groupby(rows, key=lambda row: _labels(row, keys))]
        absent = any(row["left_out"] for row in rows)
        cells = [
            (
                *_labels(group[0], keys),
                str(group[0]["images"]),
                *(_figure(row) for row in group),
                *([str(max(row["left_out"] for row in group))] if absent else []),
            )
            for group in groups
        ]
        names = ["overlap" if _is_pair(rows[0]) and key == "bone" else key for key in keys]
        show_table([*names, "images", *headings, *([LEFT_OUT] if absent else [])], cells, title)
        title = ""


def _is_pair(row: Row) -> bool:
    """Whether a row tells of two bones; those have a table of their own."""
    return bool(row["metric"] == "overlap_dice")


def _labels(row: Row, keys: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row[key]) for key in keys)


def _figure(row: Row) -> str:
    if row["mean"] is None:
        return NOTHING
    return (
        f"{row['mean']:.2f}" if row["unit"] and row["tolerance"] is None else f"{row['mean']:.4f}"
    )


def _sentence(row: Row) -> str:
    if row["mean"] is None:
        return f"{row['heading']}: there is nothing to measure"
    error = row["standard_error"]
    spread = "" if error is None else f" +- {error:.4f} (standard error, {row['people']} people)"
    return (
        f"mean {row['heading']} {row['mean']:.4f}{spread}, median {row['median']:.4f}, "
        f"{row['images']} images"
    )
