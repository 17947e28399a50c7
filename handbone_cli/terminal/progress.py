"""Progress on stderr: a rich bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import TYPE_CHECKING, Protocol

from handbone_cli.ranks import is_main

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN_EVERY = 10.0
"""Seconds between plain lines."""


class Report(Protocol):
    """Called with what is done, the total, and the figure that matters, if any."""

    def __call__(self, done: int, total: int, figure: str = "") -> None:
        """Show it."""


@contextlib.contextmanager
def progress(what: str, unit: str = "images", after: float = 0.0) -> Iterator[Report]:
    """Show the progress of one long step with its rate and the time left.

    Usage: `with progress("Predicting") as report: report(done, total, "Dice 0.97")`. A step that
    is over within `after` seconds shows nothing; of several processes of a run the first one shows.
    """
    if not is_main():
        yield _nothing
        return
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        shown: Report | None = None

        def report(done: int, total: int, figure: str = "") -> None:
            nonlocal shown
            if shown is None and time.monotonic() - started >= after:
                on_screen = sys.stderr.isatty()
                shown = stack.enter_context(_bar(what, unit)) if on_screen else _lines(what, unit)
            if shown is not None:
                shown(done, total, figure)

        if after == 0 and sys.stderr.isatty():
            shown = stack.enter_context(_bar(what, unit))
        yield report


@contextlib.contextmanager
def _bar(what: str, unit: str) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figure]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=False) as bar:
        task = bar.add_task(what, total=None, rate="", figure="")
        started, first = time.monotonic(), -1

        def report(done: int, total: int, figure: str = "") -> None:
            nonlocal first
            first = max(done - 1, 0) if first < 0 else first
            pace = (done - first) / max(time.monotonic() - started, 1e-6)
            bar.update(
                task, completed=done, total=total, rate=f"{pace:.1f} {unit}/s", figure=figure
            )

        yield report


def _lines(what: str, unit: str) -> Report:
    started = time.monotonic()
    shown, first = started, -1

    def report(done: int, total: int, figure: str = "") -> None:
        nonlocal shown, first
        first = max(done - 1, 0) if first < 0 else first
        now = time.monotonic()
        if done < total and now - shown < PLAIN_EVERY:
            return
        shown = now
        pace = max(done - first, 1) / max(now - started, 1e-6)
        left = (
            f", {pace:.2g} {unit}/s, {(total - done) / pace:.0f} s left"
            if done < total
            else f" in {now - started:.1f} s"
        )
        note = f", {figure}" if figure else ""
        print(f"{what}: {done}/{total} {unit}{left}{note}", file=sys.stderr)

    return report


def _nothing(done: int, total: int, figure: str = "") -> None:
    """Nobody is told."""


def say(line: str) -> None:
    """One line to stderr; of several processes of a run the first one speaks."""
    if is_main():
        print(line, file=sys.stderr)
