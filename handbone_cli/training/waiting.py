"""How much of a run its network stands still for want of batches."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from handbone_cli.recipe.schema import Data
    from handbone_cli.training.loop import Observer

T = TypeVar("T")

KEPT = 0.95
"""Of the sums behind the share that is shown, from step to step: some twenty steps count."""
MUCH = 0.2
"""Share of an epoch from which a person should know."""
WORTH = 60.0
"""Seconds waited in vain below which nobody need care."""


class Waits:
    """Times what the loop waits for, and says once what can be done where that is much.

    The first epoch is not judged: its images are still being prepared, its workers started.

    Args:
        observer: is told the share of the last steps after each of them.
        keys: of the recipe; what the advice goes by.
    """

    def __init__(self, observer: Observer, keys: Data) -> None:
        self._observer, self._keys = observer, keys
        self._recent_wait = self._recent = 0.0
        self._judged = self._said = False
        self._in_vain = 0.0

    def watch(self, steps: Iterable[T]) -> Iterator[T]:
        """The same steps of an epoch, timed."""
        source = iter(steps)
        waited = took = 0.0
        while True:
            asked = time.perf_counter()
            try:
                step = next(source)
            except StopIteration:
                break
            came = time.perf_counter()
            yield step
            wait, whole = came - asked, time.perf_counter() - asked
            waited, took = waited + wait, took + whole
            self._tell(wait, whole)
        self._judge(waited, took)

    def _tell(self, wait: float, whole: float) -> None:
        """Take a step into the share that is shown."""
        self._recent_wait = KEPT * self._recent_wait + wait
        self._recent = KEPT * self._recent + whole
        self._observer.waited(self._recent_wait / self._recent if self._recent else 0.0)

    def _judge(self, waited: float, took: float) -> None:
        """Look back on an epoch."""
        first, self._judged = not self._judged, True
        if first or self._said:
            return
        self._in_vain += waited
        if waited > MUCH * took and self._in_vain > WORTH:
            self._said = True
            self._observer.note(
                f"{100 * waited / took:.0f} % of the last epoch went by in waiting for patches: "
                f"{self._advice()}; `hb train --resume RUN --set ...` goes on with that."
            )

    def _advice(self) -> str:
        workers = f"give data.workers more than {max(self._keys.workers, 0)}"
        if self._keys.workers < 0:
            workers = "set data.workers, one for every free core"
        return workers if self._keys.cache else f"set data.cache = true, or {workers}"
