"""Trackers kept apart from the run: one that fails or blocks is dropped, the run goes on."""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from handbone_cli.host.interfaces import Tracker

PATIENCE = 30.0
"""Seconds that a tracker may take for a call."""


class Trackers:
    """Tells trackers what happens, each in a thread of its own.

    A call returns when the tracker is done, so that what a run said is written when it ends.

    Args:
        trackers: of the recipe.
        note: is told of the one that is dropped, and why.
        patience: seconds that a call may take.
    """

    def __init__(
        self, trackers: Iterable[Tracker], note: Callable[[str], None], patience: float = PATIENCE
    ) -> None:
        self._voices = [_Voice(tracker) for tracker in trackers]
        self._note, self._patience = note, patience

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """Tell all of an event."""
        self._call(lambda tracker: tracker.log(event, values))

    def close(self) -> None:
        """Let all finish; afterwards there are none."""
        self._call(lambda tracker: tracker.close())
        self._voices = []

    def _call(self, task: Callable[[Tracker], None]) -> None:
        for voice in self._voices:
            voice.begin(task)
        for voice in [*self._voices]:
            fault = voice.end(self._patience)
            if fault:
                self._voices.remove(voice)
                self._note(f"{voice.name} is dropped: {fault}")


class _Voice:
    """One tracker and the thread that calls it; the thread dies with the process."""

    def __init__(self, tracker: Tracker) -> None:
        self.name = type(tracker).__name__
        self._tracker = tracker
        self._tasks: queue.SimpleQueue[Callable[[Tracker], None]] = queue.SimpleQueue()
        self._faults: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=self.name, daemon=True).start()

    def begin(self, task: Callable[[Tracker], None]) -> None:
        """Hand a call to the thread."""
        self._tasks.put(task)

    def end(self, patience: float) -> str:
        """What was wrong with the call, or ''."""
        try:
            return self._faults.get(timeout=patience)
        except queue.Empty:
            return f"it has not answered for {patience:g} s"

    def _work(self) -> None:
        while True:
            task = self._tasks.get()
            try:
                task(self._tracker)
            except BaseException as error:  # noqa: BLE001  whatever a stranger's code may raise
                self._faults.put(str(error).strip() or type(error).__name__)
            else:
                self._faults.put("")
