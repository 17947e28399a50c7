"""The live screen of a training run; plain lines when nobody watches."""

from __future__ import annotations

import functools
import itertools
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console, Group, RenderableType
    from rich.live import Live
    from rich.table import Table
    from typing_extensions import Self

PLAIN_EVERY = 20.0
MEMORY_EVERY = 1.0
"""Seconds between questions; the answer costs as much as a small step."""
WORST = 5
RECENT = 8
HEADINGS = ("epoch", "loss", "mean Dice", "small bones", "overlaps", "seconds")
GIVEN_UP = ("seconds", "loss", "overlaps", "small bones")
"""Headings that a narrow window does without, one after the other."""
GAP = 3
"""Columns between two of a table."""
FIGURE = 5
"""Columns of a Dice, 0.123."""
SCORES = HEADINGS[2:-1]
EVERY = "every bone"
"""Stands where all have the same Dice."""
OTHER_LINES = 13
"""What the screen has beside the epochs: title, headings, state, and a heading with the worst."""


class TrainingTable:
    """Watches a training loop: epoch, step, rate, loss, time left, waiting, memory, scores.

    Args:
        name: of the run.
        class_names: C names.
        epochs: of the recipe.
        memory: what the device holds, in words.
    """

    def __init__(
        self,
        name: str,
        class_names: Sequence[str],
        epochs: int,
        memory: Callable[[], str] | None = None,
    ) -> None:
        self._name, self._class_names, self._epochs = name, list(class_names), epochs
        self._live: Live | None = None
        self._started = self._shown = time.monotonic()
        self._images = self._first_step = 0
        self._smooth = 0.0
        self._rows: list[dict[str, str]] = []
        self._state = ["starting"]
        self._validating = self._waiting = self._memory = ""
        self._ask_memory, self._asked = memory, -MEMORY_EVERY
        self._bones: list[tuple[str, str]] = []
        self._pairs: list[tuple[str, str]] = []

    def __enter__(self) -> Self:
        """Start showing."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            console = Console(stderr=True)
            # Laid out anew each time it is drawn, so that it fits a window that is being resized.
            screen = functools.partial(self._screen, console)
            self._live = Live(get_renderable=screen, console=console, refresh_per_second=4)
            self._live.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the last screen standing."""
        if self._live is not None:
            self._live.__exit__(kind, error, trace)

    @property
    def began(self) -> bool:
        """Whether there was a step."""
        return self._images > 0

    def step(self, position: Any, steps: int, loss: float, images: int) -> None:
        """After every step of the loop."""
        now = time.monotonic()
        done = position.epoch * steps + position.step
        if self._images == 0:
            self._started, self._first_step, self._smooth = now, done, loss
        self._images += images
        self._smooth = 0.95 * self._smooth + 0.05 * loss
        took = max(now - self._started, 1e-6)
        pace = (done - self._first_step) / took
        left = _clock((self._epochs * steps - done) / pace) if pace > 0 else "?"
        self._state = [
            f"epoch {position.epoch + 1}/{self._epochs}",
            f"step {position.step}/{steps}",
            f"loss {self._smooth:.4f}",
            f"{self._images / took:.1f} images/s" if pace > 0 else "",
            f"{left} left",
        ]
        self._validating = ""
        self._show(now)

    def waited(self, share: float) -> None:
        """After every step: what share of the time went by in waiting for batches."""
        self._waiting = f"loader {100 * share:.0f} %"

    def validating(self, done: int) -> None:
        """After every validation image."""
        self._validating = f"validating {done}"
        self._show(time.monotonic())

    def epoch(self, values: dict[str, Any], dice: NDArray[np.float64] | None) -> None:
        """After every epoch."""
        row = {"epoch": str(values["epoch"]), "loss": "", "mean Dice": ""}
        if values["loss"] is not None:
            row["loss"] = f"{values['loss']:.4f}"
        if dice is not None:
            row |= {"mean Dice": f"{dice.mean():.4f}", **_groups(values)}
            self._bones = self._worst_bones(dice)
            self._pairs = _lowest(values.get("overlap_pairs", {}))
        self._rows.append({**row, "seconds": f"{values['seconds']:.1f}"})
        self._validating = ""
        if self._live is None:
            self._print(self._rows[-1], scored=dice is not None)

    def _print(self, row: dict[str, str], *, scored: bool) -> None:
        """An epoch as a line."""
        said = [
            f"epoch {row['epoch']}/{self._epochs}",
            f"loss {row['loss']}",
            f"{row['seconds']} s",
        ]
        if scored:
            said += [f"{key} {row[key]}" for key in SCORES if key in row]
            worst = "  ".join(f"{bone} {dice}" for bone, dice in self._bones)
            said.append(worst if worst.startswith(EVERY) else f"worst {worst}")
        print("  ".join(said), file=sys.stderr)

    def _worst_bones(self, dice: NDArray[np.float64]) -> list[tuple[str, str]]:
        """The worst bones, worst first; where all are alike, none is named."""
        if len(dice) > 1 and dice.min() == dice.max():
            return [(EVERY, f"{dice[0]:.3f}")]
        return _lowest(dict(zip(self._class_names, dice.tolist(), strict=True)))

    def note(self, line: str) -> None:
        """Something that a person should know."""
        if self._live is not None:
            self._live.console.print(line, markup=False, highlight=False)
        else:
            print(line, file=sys.stderr)

    def _show(self, now: float) -> None:
        if self._ask_memory is not None and now - self._asked >= MEMORY_EVERY:
            self._memory, self._asked = self._ask_memory(), now
        if self._live is None and now - self._shown > PLAIN_EVERY:
            self._shown = now
            print("  ".join(self._said()), file=sys.stderr)

    def _said(self) -> list[str]:
        """The state, in pieces that are not broken."""
        said = [*self._state, self._validating, self._waiting, self._memory]
        return [piece for piece in said if piece]

    def _screen(self, console: Console) -> Group:
        from rich.console import Group
        from rich.text import Text

        width = console.width - len("^C")  # which a terminal shows, and must not wrap for
        state = _packed(self._said(), width)
        rows = max(1, min(RECENT, console.height - OTHER_LINES - len(state)))
        name, *lines = (
            Text(line, no_wrap=True, overflow="ellipsis") for line in (self._name, *state)
        )
        parts: list[RenderableType] = [name]
        if self._rows:
            parts.append(self._epoch_table(rows, width))
        parts += lines
        if self._bones:
            parts.append(self._worst_table(width))
        return Group(*parts)

    def _epoch_table(self, rows: int, width: int) -> Table:
        """The last epochs, under every heading that one of them has and there is room for."""
        recent = self._rows[-rows:]
        headings = [key for key in HEADINGS if any(key in row for row in recent)]
        widths = {key: _longest([key, *(row.get(key, "") for row in recent)]) for key in headings}
        for key in GIVEN_UP:
            if sum(widths[heading] + GAP for heading in headings) - GAP > width:
                headings = [heading for heading in headings if heading != key]
        return _table(headings, ([row.get(key, "") for key in headings] for row in recent))

    def _worst_table(self, width: int) -> Table:
        """The worst bones and, beside them, the worst overlaps; names are cut, not figures."""
        both = {"worst bones": self._bones, "worst overlaps": self._pairs}
        shown = {heading: found for heading, found in both.items() if found}
        rows = itertools.zip_longest(*shown.values(), fillvalue=("", ""))
        table = _table(
            [cell for heading in shown for cell in (heading, "Dice")],
            (itertools.chain.from_iterable(row) for row in rows),
        )
        longest = [_longest([key, *(name for name, _ in found)]) for key, found in shown.items()]
        room = width - len(shown) * (FIGURE + 2 * GAP) + GAP
        for column, own in zip(table.columns[::2], longest, strict=True):
            column.max_width = max(room // len(shown), room - sum(longest) + own)
        return table


def _table(headings: Sequence[str], rows: Iterable[Iterable[str]]) -> Table:
    """A table without a frame; what does not fit ends in an ellipsis."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in headings:
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))  # [text] is no markup here
    return table


def _groups(values: dict[str, Any]) -> dict[str, str]:
    """The scores of small bones and overlaps that a validation has, by their heading."""
    found = {}
    if "small_bones" in values:
        found["small bones"] = f"{values['small_bones']:.4f}"
    if pairs := values.get("overlap_pairs"):
        found["overlaps"] = f"{sum(pairs.values()) / len(pairs):.4f}"
    return found


def _lowest(scores: dict[str, float]) -> list[tuple[str, str]]:
    """The names with the lowest scores, lowest first."""
    order = sorted(scores, key=lambda name: scores[name])[:WORST]
    return [(name, f"{scores[name]:.3f}") for name in order]


def _longest(words: Sequence[str]) -> int:
    return max(len(word) for word in words)


def _packed(pieces: Sequence[str], width: int) -> list[str]:
    """Pieces two spaces apart, in as few lines as a width allows."""
    lines: list[str] = []
    for piece in pieces:
        if lines and len(lines[-1]) + 2 + len(piece) <= width:
            lines[-1] += f"  {piece}"
        else:
            lines.append(piece)
    return lines


class Companion:
    """Watches in a process that shares a run with others, of which the first one shows it."""

    def step(self, position: Any, steps: int, loss: float, images: int) -> None:
        """After every step."""

    def waited(self, share: float) -> None:
        """After every epoch's batches."""

    def validating(self, done: int) -> None:
        """After every validation image."""

    def epoch(self, values: dict[str, Any], dice: NDArray[np.float64] | None) -> None:
        """After every epoch."""

    def note(self, line: str) -> None:
        """What only this process knows, such as an image that it cannot read."""
        print(line, file=sys.stderr)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
