"""Which table of a queue a job's name belongs to, and the tables in the order of what they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli.errors import closest
from handbone_cli.runs.queue.schema import refuse

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handbone_cli.runs.queue.schema import JobSection


def table_of(name: str, known: Sequence[str]) -> str | None:
    """The table that a job's name belongs to: itself, or the longest that it begins with."""
    fitting = [each for each in known if name == each or name.startswith(f"{each}-")]
    return max(fitting, key=len, default=None)


def in_order(path: Path, sections: dict[str, JobSection]) -> list[JobSection]:
    """The tables so that each comes after those it names; unknown names and circles are refused."""
    problems: list[str] = []
    below: dict[str, list[str]] = {}
    for section in sections.values():
        below[section.name] = []
        for key, names in section.uses.items():
            for name in names:
                table = table_of(name, list(sections))
                if table is None:
                    problems.append(
                        f"{path}: job {section.name!r}: {key} names {name!r}, which is no job. "
                        f"{closest(name, sections)}"
                    )
                else:
                    below[section.name].append(table)
    refuse(problems)
    order: list[str] = []
    for name in sections:
        _visit(name, below, order, (), problems, path)
    refuse(problems)
    return [sections[name] for name in order]


def _visit(
    name: str,
    below: dict[str, list[str]],
    order: list[str],
    above: tuple[str, ...],
    problems: list[str],
    path: Path,
) -> None:
    if name in above:
        circle = above[above.index(name) :]
        first = circle.index(min(circle))
        chain = " -> ".join((*circle[first:], *circle[:first], min(circle)))
        problems.append(f"{path}: jobs wait for each other in a circle: {chain}.")
    elif name not in order:
        for each in below[name]:
            _visit(each, below, order, (*above, name), problems, path)
        order.append(name)
