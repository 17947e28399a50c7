"""Result tables on stdout: rich in a terminal, aligned text in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def show_table(headings: Sequence[str], rows: Sequence[Sequence[object]], title: str = "") -> None:
    """Print a table to stdout."""
    text = [[str(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markup import escape
        from rich.table import Table

        table = Table(*headings, title=title or None, title_justify="left")
        for row in text:
            table.add_row(*(escape(cell) for cell in row))  # [text] is no markup here
        Console().print(table)
        return
    lines = [list(headings), *text]
    widths = [max(len(line[place]) for line in lines) for place in range(len(headings))]
    if title:
        print(title)
    for line in lines:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        print("  ".join(cells).rstrip())
