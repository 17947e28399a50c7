"""Trackers kept apart from the run: one that fails or blocks is dropped, the run goes on."""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import CheckingFactory, PictureTracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Tracker
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe

    Task: TypeAlias = "Callable[[Tracker], None]"

PATIENCE = 30.0
"""Seconds that a tracker may take for a call."""


def check_trackers(recipe: Recipe, registry: Registry) -> None:
    """Ask the factories of a recipe's trackers, before there is a run.

    Raises:
        HandboneError: what a person has to put right first.
    """
    for section in recipe.tracking.sections:
        component = registry.get("trackers", section.name)
        factory = component.builder()
        options = registry.parse_options(component, section.options)
        if isinstance(factory, CheckingFactory):
            factory.check(options)


class Trackers:
    """Tells trackers what happens, each in a thread of its own.

    A call returns when the trackers are done, so that what a run said is written when it ends.

    Args:
        trackers: that are there already.
        note: is told of the one that is dropped, and why.
        patience: seconds that a call may take, for all together.
    """

    def __init__(
        self, trackers: Iterable[Tracker], note: Callable[[str], None], patience: float = PATIENCE
    ) -> None:
        self._voices = [_Voice(type(tracker).__name__, tracker) for tracker in trackers]
        self._note, self._patience = note, patience

    @classmethod
    def build(
        cls,
        makers: Mapping[str, Callable[[], Tracker]],
        note: Callable[[str], None],
        patience: float = PATIENCE,
    ) -> Trackers:
        """Build trackers, each in the thread that will call it: a server may keep one waiting.

        Args:
            makers: by the name that people know the tracker by.
            note: as above; what is built too late or fails is dropped.
            patience: as above.

        Raises:
            HandboneError: a person has something to put right; no tracker is left.
        """
        built = cls([], note, patience)
        built._voices = [_Voice(name) for name in makers]
        for voice, make in zip(built._voices, makers.values(), strict=True):
            voice.begin_building(make)
        faults = built._faults()
        mistake = next((fault for _, fault in faults if isinstance(fault, HandboneError)), None)
        if mistake is not None:
            built.close()
            raise mistake
        built._tell(faults)
        return built

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """Tell all of an event."""
        self._call(lambda tracker: tracker.log(event, values))

    def picture(self, name: str, rgb: NDArray[np.uint8], values: Mapping[str, Any]) -> None:
        """Give a picture to those that take pictures."""
        shown = rgb.view()
        shown.flags.writeable = False

        def show(tracker: Tracker) -> None:
            if isinstance(tracker, PictureTracker):
                tracker.picture(name, shown, values)

        self._call(show)

    def close(self) -> None:
        """Let all finish; afterwards there are none."""
        self._call(lambda tracker: tracker.close())
        for voice in self._voices:
            voice.leave()
        self._voices = []

    def _call(self, task: Task) -> None:
        for voice in self._voices:
            voice.begin(task)
        self._tell(self._faults())

    def _faults(self) -> list[tuple[str, BaseException]]:
        """What went wrong in the call under way, with the tracker's name; that one is gone."""
        deadline = time.monotonic() + self._patience
        faults: list[tuple[str, BaseException]] = []
        for voice in [*self._voices]:
            try:
                fault = voice.end(deadline - time.monotonic())
            except queue.Empty:
                fault = TimeoutError(f"it has not answered for {self._patience:g} s")
            if fault is not None:
                self._voices.remove(voice)
                voice.begin(lambda tracker: tracker.close())  # when it can; nobody waits for it
                voice.leave()
                faults.append((voice.name, fault))
        return faults

    def _tell(self, faults: Iterable[tuple[str, BaseException]]) -> None:
        for name, fault in faults:
            said = " ".join(str(fault).split()) or type(fault).__name__
            self._note(f"tracker '{name}' is dropped: {said}")


class _Voice:
    """One tracker and the thread that calls it; the thread dies with the process."""

    def __init__(self, name: str, tracker: Tracker | None = None) -> None:
        self.name = name
        self._tracker = tracker
        self._tasks: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._faults: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def begin_building(self, make: Callable[[], Tracker]) -> None:
        """Let the thread make the tracker."""

        def build() -> None:
            self._tracker = make()

        self._tasks.put(build)

    def begin(self, task: Task) -> None:
        """Hand a call to the thread; nothing is done where there is no tracker."""

        def call() -> None:
            if self._tracker is not None:
                task(self._tracker)

        self._tasks.put(call)

    def end(self, patience: float) -> BaseException | None:
        """What was wrong with the call, or None; queue.Empty if it is still under way."""
        return self._faults.get(timeout=max(patience, 0.0))

    def leave(self) -> None:
        """Let the thread end after what it was given."""
        self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            try:
                task()
            except BaseException as error:  # noqa: BLE001  whatever a stranger's code may raise
                self._faults.put(error)
            else:
                self._faults.put(None)
