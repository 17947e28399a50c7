"""Models that do not fit in memory together: each in turn predicts what there is room for."""

from __future__ import annotations

import contextlib
import gc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from handbone_cli.errors import InterruptedRunError, UnreadableImageError
from handbone_cli.networks.dealing import Dealing

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Generator, Iterable, Sequence

    from handbone_cli.commands.wiring.summing import Ensemble
    from handbone_cli.host.interfaces import Sample
    from handbone_cli.prediction.predictor import Predictor, Prepared
    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.store.part import StorePart
    from handbone_cli.store.store import StoreWriter


@dataclass(eq=False)
class Begun:
    """An image between its first model and its last.

    Attributes:
        number: among the samples of its turns.
        sample: which.
        content: what a store remembers it by.
        found: what each model has found so far.
    """

    number: int
    sample: Sample
    content: str
    found: dict[int, BoxedProbabilities] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of what was found."""
        return sum(crop.nbytes for each in self.found.values() for crop in each.crops)


def write_in_turn(
    store: StoreWriter | StorePart,
    ensemble: Ensemble,
    samples: Sequence[Sample],
    room: int,
    workers: int | None = None,
) -> list[str]:
    """Predict into a store with one model in memory at a time. The store is closed.

    The first model goes on until its images fill the room; then every other model predicts these,
    then the next ones come. Ctrl-C keeps the first of the images that are begun. Of several
    processes, which all call this, each has every so manieth image.

    Args:
        store: what is in it from the same bytes is not predicted again.
        ensemble: whose models are loaded and dropped.
        samples: in the order in which they are written.
        room: bytes for what models have found; at least one image is taken.
        workers: threads that read ahead.

    Returns:
        A sentence for every image that cannot be read, by whichever process, in their order.

    Raises:
        InterruptedRunError: Ctrl-C; the images before are in the store.
        LostRankError: another process is gone, or has failed.
    """
    from handbone_cli.networks.collectives import agree, collect
    from handbone_cli.processes import told_to_stop
    from handbone_cli.ranks import is_main, share
    from handbone_cli.terminal.progress import progress

    own, unreadable = 0, dict[str, str]()
    try:
        with told_to_stop() as stop, progress("Predicting", "predictions") as report:
            dealing = Dealing(sum(len(ensemble.models_for(sample)) for sample in samples))

            def advance(steps: int, figure: str | None) -> None:
                done = dealing.finish(steps)
                if figure is not None:
                    report(done, dealing.total, figure)
                if stop.is_set():
                    dealing.stop()
                elif dealing.is_stopped:
                    stop.set()

            try:
                turns = Turns(store, ensemble, workers, stop, advance)
                own = take_all(turns, ensemble, share(samples), room, unreadable)
            except BaseException:
                dealing.stop()
                raise
            if not is_main():
                store.close()  # before the first process takes in what was written
            done = round(agree([own])[0])
            said = dict(collect(list(unreadable.items())))
    finally:
        store.close()
    if done < len(samples):
        raise InterruptedRunError(
            f"stopped after {done} of {len(samples)} images; run the same command again to go on."
        )
    return [said[sample.image_id] for sample in samples if sample.image_id in said]


def take_all(
    turns: Turns,
    ensemble: Ensemble,
    samples: Iterable[Sample],
    room: int,
    unreadable: dict[str, str],
) -> int:
    """Take turns until all samples are predicted, or stopped; gives how many are done."""
    groups: dict[tuple[int, ...], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(tuple(ensemble.models_for(sample)), []).append(sample)
    done = 0
    for models, group in groups.items():
        first = 0
        while first < len(group) and not turns.stop.is_set():
            first += turns.take(models, group[first:], room, unreadable)
        done += first
    return done


class Turns:
    """The models of an ensemble, one of them loaded."""

    def __init__(
        self,
        store: StoreWriter | StorePart,
        ensemble: Ensemble,
        workers: int | None,
        stop: threading.Event,
        advance: Callable[[int, str | None], None],
    ) -> None:
        from handbone_cli.commands.wiring.filling import default_workers

        self._store, self._ensemble, self.stop, self._advance = store, ensemble, stop, advance
        self._workers = default_workers() if workers is None else workers
        self._loaded: tuple[int, Predictor] | None = None

    def take(
        self,
        models: Sequence[int],
        samples: Sequence[Sample],
        room: int,
        unreadable: dict[str, str],
    ) -> int:
        """Predict the first of these samples, as many as there is room for; gives their number.

        Args:
            models: of all of these samples.
            samples: at least one of them is taken.
            room: bytes for what is found.
            unreadable: takes a sentence for an image, by its id, that cannot be read.
        """
        # the one that is loaded begins, which saves a load each time
        order = sorted(models, key=lambda place: self._loaded is None or place != self._loaded[0])
        begun: list[Begun] = []
        taken = expected = 0
        waiting = self._read(order[0], samples, self._store.has)
        with contextlib.closing(waiting):
            for sample, content, prepared, fault in waiting:
                taken += 1
                if fault is not None:
                    unreadable[sample.image_id] = fault
                if prepared is None:
                    self._advance(len(models), None)
                    continue
                begun.append(image := Begun(taken - 1, sample, content))
                self._predict(order[0], image, prepared, f"model 1 of {len(order)}")
                expected += image.size * len(order)
                if expected >= room or self.stop.is_set():
                    break
        for number, place in enumerate(order[1:], start=2):
            begun = self._turn(place, begun, unreadable, f"model {number} of {len(order)}")
        for image in begun:
            self._write(image)
        return begun[0].number + 1 if begun and self.stop.is_set() else taken

    def _turn(
        self, place: int, begun: Sequence[Begun], unreadable: dict[str, str], figure: str
    ) -> list[Begun]:
        """Predict begun images with another model; gives those that go on, the first on Ctrl-C."""
        kept: list[Begun] = []
        waiting = self._read(place, [image.sample for image in begun], lambda *_: False)
        with contextlib.closing(waiting):
            for image, (sample, content, prepared, fault) in zip(begun, waiting, strict=False):
                if prepared is None or content != image.content:
                    changed = f"{sample.path}: has changed while it was predicted."
                    unreadable[sample.image_id] = fault or changed
                    continue
                self._predict(place, image, prepared, figure)
                kept.append(image)
                if self.stop.is_set():
                    break
        return kept[:1] if self.stop.is_set() else kept

    def _read(
        self, place: int, samples: Iterable[Sample], has: Callable[[str, str], bool]
    ) -> Generator[tuple[Sample, str, Prepared | None, str | None], None, None]:
        """Each sample with its content, as a model sees it, or None and why it cannot be read."""
        from handbone_cli.commands.wiring.filling import prepare_one
        from handbone_cli.commands.wiring.threads import ahead

        model = self._ensemble.models[place]

        def prepare(sample: Sample) -> tuple[str, Prepared | None]:
            return prepare_one((sample, model, False), has)

        for sample, future in ahead(samples, prepare, self._workers):
            try:
                yield sample, *future.result(), None
            except UnreadableImageError as error:
                yield sample, "", None, str(error)

    def _predict(self, place: int, image: Begun, prepared: Prepared, figure: str) -> None:
        if self._loaded is None or self._loaded[0] != place:
            self._loaded = None  # not beside the next one
            gc.collect()
            self._loaded = place, self._ensemble.models[place].load()
        image.found[place] = self._loaded[1].predict_prepared(prepared)
        self._advance(1, figure)

    def _write(self, image: Begun) -> None:
        from handbone_cli.commands.wiring.filling import Predicted

        total = self._ensemble.combine(image.found)
        seen = self._ensemble.has_seen(image.sample)
        Predicted(image.sample, image.content, seen, lambda: total).write_to(self._store)
        image.found.clear()
