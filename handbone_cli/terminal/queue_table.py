"""The table of a queue that changes while one watches; plain lines of changes when nobody does."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.live import Live
    from rich.table import Table

HEADINGS = ("job", "state", "attempt", "GPU", "epoch", "mean Dice", "took", "why")
EVERY = 1.0
"""Seconds between looks; the rows cost reading files."""


class QueueTable:
    """Shows rows under HEADINGS in place, or a line for each job whose state has changed."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._live: Live | None = None
        self._before: dict[str, tuple[str, str]] = {}
        self._due = 0.0

    @classmethod
    @contextlib.contextmanager
    def on(cls, file: TextIO) -> Iterator[QueueTable]:
        """Show on stdout or stderr until the block ends; the last screen stays."""
        table = cls(file)
        if not file.isatty():
            yield table
            return
        from rich.console import Console
        from rich.live import Live

        live = Live(console=Console(file=file), auto_refresh=False, vertical_overflow="crop")
        with live as table._live:
            yield table

    @property
    def is_due(self) -> bool:
        """Whether it is time to make rows again."""
        return time.monotonic() >= self._due

    def show(self, rows: Sequence[Sequence[str]], caption: str) -> None:
        """Show the rows as they are now; the caption is for a screen only."""
        self._due = time.monotonic() + EVERY
        if self._live is not None:
            self._live.update(self._drawn(rows, caption), refresh=True)
            return
        for row in rows:
            job, state, attempt = row[:3]
            if self._before.get(job, ("waiting", "-")) != (state, attempt):
                self.say(line(row))
            self._before[job] = (state, attempt)

    def say(self, sentence: str) -> None:
        """A line that stays."""
        if self._live is not None:
            self._live.console.print(sentence, markup=False, highlight=False)
        else:
            print(sentence, file=self._file, flush=True)

    def _drawn(self, rows: Sequence[Sequence[str]], caption: str) -> Table:
        from rich.markup import escape
        from rich.table import Table

        assert self._live is not None
        kept = fitting(rows, max(3, self._live.console.height - 6))
        if len(kept) < len(rows):
            caption = f"{caption}; {len(rows) - len(kept)} of {len(rows)} jobs are not shown"
        table = Table(caption=caption, caption_justify="left")
        for heading in HEADINGS:
            table.add_column(heading, no_wrap=True)  # a line a job
        for row in shortened(kept, self._live.console.width):
            table.add_row(*(escape(cell) for cell in row))
        return table


def shortened(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Rows whose last cell, the reason, has what the others leave of a screen's columns."""
    others = [max(len(cell) for cell in column) for column in zip(HEADINGS, *rows, strict=True)][
        :-1
    ]
    room = max(len(HEADINGS[-1]), width - sum(others) - 3 * len(HEADINGS) - 1)
    return [[*row[:-1], cut(row[-1], room)] for row in rows]


def cut(text: str, room: int) -> str:
    """A text in so many columns."""
    return text if len(text) <= room else f"{text[: room - 1]}…"


def line(row: Sequence[str]) -> str:
    """`a: running, attempt 2, GPU 0`; `a: finished, mean Dice 0.9712, took 1:20`."""
    job, state, attempt, gpu, _, dice, took, why = row
    over = state not in ("running", "waiting")
    parts = {
        "": state,
        "attempt ": attempt if attempt != "1" else "-",
        "GPU ": gpu,
        "mean Dice ": dice if over else "-",
        "took ": took if over else "-",
    }
    said = [f"{word}{value}" for word, value in parts.items() if value != "-"]
    return f"{job}: {', '.join(said)}{f': {why}' if why else ''}"


def fitting(rows: Sequence[Sequence[str]], room: int) -> list[Sequence[str]]:
    """The rows to show where not all fit: finished ones go first, then the last that wait."""
    kept = list(rows)
    finished = [row for row in rows if row[1] == "finished"]
    waiting = [row for row in reversed(rows) if row[1] in ("waiting", "blocked")]
    for row in [*finished, *waiting][: max(0, len(rows) - room)]:
        kept.remove(row)
    return kept[:room]
