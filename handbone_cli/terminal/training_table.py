"""The live screen of a training run; plain lines when nobody watches."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Group
    from rich.live import Live
    from typing_extensions import Self

PLAIN_EVERY = 20.0
WORST = 5
RECENT = 8


class TrainingTable:
    """Watches a training loop: epoch, step, rate, loss, time left, mean Dice, the worst bones."""

    def __init__(self, name: str, class_names: Sequence[str], epochs: int) -> None:
        self._name, self._class_names, self._epochs = name, list(class_names), epochs
        self._live: Live | None = None
        self._started = self._shown = time.monotonic()
        self._images = self._steps_done = self._first_step = 0
        self._smooth = 0.0
        self._rows: list[tuple[str, ...]] = []
        self._state = "starting"
        self._worst = ""

    def __enter__(self) -> Self:
        """Start showing."""
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), refresh_per_second=4)
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
            self._live.update(self._screen(), refresh=True)
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
        rate = f"{self._images / took:.1f} images/s" if pace > 0 else ""
        self._state = (
            f"epoch {position.epoch + 1}/{self._epochs}  step {position.step}/{steps}  "
            f"loss {self._smooth:.4f}  {rate}  {left} left"
        )
        self._show(now)

    def validating(self, done: int) -> None:
        """After every validation image."""
        self._state = f"{self._state.split('  validating')[0]}  validating {done}"
        self._show(time.monotonic())

    def epoch(self, values: dict[str, Any], dice: NDArray[np.float64] | None) -> None:
        """After every epoch."""
        loss = "" if values["loss"] is None else f"{values['loss']:.4f}"
        mean = f"{dice.mean():.4f}" if dice is not None else ""
        if dice is not None:
            self._worst = self._name_worst(dice)
        self._rows.append((str(values["epoch"]), loss, mean, f"{values['seconds']:.1f}"))
        if self._live is None:
            worst = f"  {self._worst}" if dice is not None else ""
            row = f"epoch {values['epoch']}/{self._epochs}  loss {loss}  {values['seconds']:.1f} s"
            print(f"{row}{f'  mean Dice {mean}' if mean else ''}{worst}", file=sys.stderr)
        else:
            self._live.update(self._screen())

    def _name_worst(self, dice: NDArray[np.float64]) -> str:
        """The worst bones, worst first; where all are alike, none is named."""
        if len(dice) > 1 and dice.min() == dice.max():
            return f"every bone {dice[0]:.3f}"
        order = dice.argsort(kind="stable")[:WORST]
        return f"worst {'  '.join(f'{self._class_names[i]} {dice[i]:.3f}' for i in order)}"

    def note(self, line: str) -> None:
        """Something that a person should know."""
        if self._live is not None:
            self._live.console.print(line)
        else:
            print(line, file=sys.stderr)

    def _show(self, now: float) -> None:
        if self._live is not None:
            self._live.update(self._screen())
        elif now - self._shown > PLAIN_EVERY:
            self._shown = now
            print(self._state, file=sys.stderr)

    def _screen(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        table = Table(
            "epoch", "loss", "mean Dice", "seconds", title=self._name, title_justify="left"
        )
        for row in self._rows[-RECENT:]:
            table.add_row(*row)
        return Group(table, Text(self._state), Text(self._worst))


class Companion:
    """Watches in a process that shares a run with others, of which the first one shows it."""

    def step(self, position: Any, steps: int, loss: float, images: int) -> None:
        """After every step."""

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
