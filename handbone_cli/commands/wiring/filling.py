"""Filling a store: samples read ahead, predicted in order, written behind; what it depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

from handbone_cli.errors import InterruptedRunError, UnreadableImageError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from threading import Event

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.dealing import Dealing
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.store.part import StorePart
    from handbone_cli.store.store import ImageEntry, StoreWriter
    from handbone_cli.terminal.progress import Report


class Preparing(Protocol):
    """What makes of a decoded image what its models see."""

    @property
    def prepare(self) -> Callable[[NDArray[Any]], Any]:
        """Decoded grey -> the image or images, prepared."""


class Predicting(Preparing, Protocol):
    """A predictor, or all models of an ensemble."""

    def begin(self, prepared: Any, /) -> Callable[[], BoxedProbabilities]:
        """Do the device's part; gives what is left for the CPU."""


Job: TypeAlias = "tuple[Sample, Predicting, bool]"
"""A sample, its predictor, and whether that was trained on the person."""


@dataclass(frozen=True)
class Filling:
    """Where predictions go and how: a store, and masks made of it.

    Attributes:
        output: the store.
        workers: threads that read ahead; None: as `default_workers`.
        masks: the folder of masks, if any.
        forms: of the masks.
    """

    output: Path
    workers: int | None = None
    masks: Path | None = None
    forms: tuple[str, ...] = ()

    def refuse_masks(self, class_names: Sequence[str], settings: Mapping[str, Any]) -> None:
        """Refuse folders and classes that masks cannot go to, before hours of prediction."""
        from handbone_cli.commands.wiring.exporting import refuse_forms_of_store

        if self.masks is not None:
            manifest = {"class_names": class_names, "settings": settings}
            refuse_forms_of_store(self.masks, self.forms, self.output, manifest)

    def fill(
        self,
        class_names: Sequence[str],
        settings: Mapping[str, Any],
        order: Sequence[str],
        labels: Mapping[str, Any] | None,
        jobs: Iterable[Job],
    ) -> list[str]:
        """Predict into the store, as `write_all`; the rest is as `StoreWriter` has it."""
        from handbone_cli.commands.wiring.processes import open_output

        store = open_output(self.output, class_names, settings, order, labels)
        return write_all(store, jobs, len(order), self.workers)

    def write_masks(self, registry: Registry) -> list[str]:
        """Write the masks of all that the store has; a line a form. The first process does it."""
        from handbone_cli.commands.wiring.exporting import export_to, open_masks_to_export
        from handbone_cli.ranks import is_main

        if self.masks is None or not is_main():
            return []
        export = open_masks_to_export(self.output, registry)
        return export_to(self.masks, self.forms, export)


class Predicted(NamedTuple):
    """What became of one sample: what makes its probabilities, or why there are none.

    Attributes:
        sample: which.
        content: what a store remembers its image by.
        seen: whether the model was trained on the person.
        boxes: what is left to do off the device; None for what was there already, or cannot be
            read.
        fault: a sentence on an image that cannot be read.
    """

    sample: Sample
    content: str
    seen: bool
    boxes: Callable[[], BoxedProbabilities] | None = None
    fault: str | None = None

    def write_to(self, store: StoreWriter | StorePart) -> None:
        """Add the image to a store."""
        assert self.boxes is not None
        probabilities = self.boxes()
        store.write(self.sample.image_id, probabilities, self.entry(probabilities.size))

    def entry(self, size: tuple[int, int]) -> ImageEntry:
        """What the manifest says of the image."""
        from handbone_cli.store.store import ImageEntry

        source = str(self.sample.path.resolve()) if self.sample.path else None
        return ImageEntry(self.sample.person, *size, source, self.content, self.seen)


def write_all(
    store: StoreWriter | StorePart, jobs: Iterable[Job], total: int, workers: int | None = None
) -> list[str]:
    """Predict so many samples, each with its predictor and whether its person was trained on.

    Images are read ahead, and boxed and written behind, while the device computes. The processes
    of a prediction all call this, and each takes the next job that nobody has. The store is closed.

    Args:
        store: what is in it from the same bytes is not predicted again.
        jobs: in the order in which they are predicted and written.
        total: how many they are.
        workers: threads that read ahead; 0: everything in this one, one after another.

    Returns:
        A sentence for every image that cannot be read, by whichever process, in the jobs' order.

    Raises:
        InterruptedRunError: Ctrl-C; the images that were begun on the device are in the store.
        LostRankError: another process is gone, or has failed.
        HandboneError: the store cannot be written; what was written before stays.
    """
    from handbone_cli.networks.collectives import agree, collect
    from handbone_cli.processes import told_to_stop
    from handbone_cli.ranks import is_main
    from handbone_cli.terminal.progress import progress

    try:
        with told_to_stop() as stop, progress("Predicting") as report:
            own, faults = write_dealt(store, jobs, total, workers, stop, report)
            if not is_main():
                store.close()  # before the first process takes in what was written
            done = round(agree([own])[0])
            unreadable = sorted(collect(faults))
            if done == total:
                report(done, total)
    finally:
        store.close()
    if done < total:
        raise InterruptedRunError(
            f"stopped after {done} of {total} images; run the same command again to go on."
        )
    return [sentence for _, sentence in unreadable]


def write_dealt(
    store: StoreWriter | StorePart,
    jobs: Iterable[Job],
    total: int,
    workers: int | None,
    stop: Event,
    report: Report,
) -> tuple[int, list[tuple[int, str]]]:
    """This process's part of `write_all`: how many it did, and what it cannot read, by place."""
    from handbone_cli.commands.wiring.threads import Behind
    from handbone_cli.networks.dealing import Dealing

    count = default_workers() if workers is None else workers
    dealing, writes = Dealing(total), Behind(threaded=count > 0)
    places: list[int] = []
    faults: list[tuple[int, str]] = []
    own = 0
    found = predict_all(dealt(jobs, dealing, places), store.has, count)
    try:
        for own, each in enumerate(found, start=1):
            if each.boxes is not None:
                writes.call(each.write_to, store)
            if each.fault is not None:
                faults.append((places[own - 1], each.fault))
            done = dealing.finish()
            if each.boxes is not None and done < total:  # else the rate would lie
                report(done, total)
            if stop.is_set():
                dealing.stop()
            if dealing.is_stopped:
                break
    except BaseException:
        dealing.stop()
        raise
    finally:
        found.close()
        writes.finish()
    return own, faults


def dealt(jobs: Iterable[Job], dealing: Dealing, places: list[int]) -> Iterator[Job]:
    """The jobs that fall to this process, as it asks for them; their places are noted."""
    mine = dealing.take()
    for place, job in enumerate(jobs):
        if mine is None:
            return
        if place == mine:
            places.append(place)
            yield job
            mine = dealing.take()


def predict_all(
    jobs: Iterable[Job], has: Callable[[str, str], bool], workers: int
) -> Generator[Predicted, None, None]:
    """What becomes of every sample, in order; one process's share of many does as well.

    Args:
        jobs: as for `write_all`.
        has: (image id, content) -> whether it need not be predicted; called in the threads.
        workers: threads that decode and preprocess images ahead of the device.
    """
    from handbone_cli.commands.wiring.threads import ahead

    for (sample, predictor, seen), future in ahead(
        jobs, lambda job: prepare_one(job, has), workers
    ):
        try:
            content, prepared = future.result()
        except UnreadableImageError as error:
            yield Predicted(sample, "", seen, fault=str(error))
            continue
        if prepared is None:
            yield Predicted(sample, content, seen)
            continue
        yield Predicted(sample, content, seen, predictor.begin(prepared))


def prepare_one(
    job: tuple[Sample, Preparing, bool], has: Callable[[str, str], bool]
) -> tuple[str, Any]:
    """What an image is remembered by, and the image as the network sees it unless it is there.

    Raises:
        UnreadableImageError: an image that is empty, cut off or none.
    """
    from handbone_cli.commands.wiring.datasets import content_of

    sample, predictor, _ = job
    content = content_of(sample)
    if has(sample.image_id, content):
        return content, None
    return content, predictor.prepare(sample.read_image())


def default_workers() -> int:
    """Threads that read ahead where nobody says: two for a GPU, none where the network computes."""
    import torch

    return 2 if torch.cuda.is_available() else 0


def describe_settings(recipe: Recipe, weights: str | list[str]) -> dict[str, Any]:
    """Everything that a store's probabilities depend on besides the images.

    `weights` is a digest, or that of every fold where each predicted whom it left out.
    """
    from handbone_cli.recipe.load import to_table

    table = to_table(recipe)
    data = {key: table["data"].get(key) for key in ("clahe", "normalize", "resize", "fold")}
    window = {k: v for k, v in table["predict"].items() if k != "batch_size"}
    if window["average"] == "probabilities":  # stores from before there was a choice
        del window["average"]
    rules = table.get("postprocess", [])
    tta = table.get("tta", [])
    return {"model": recipe.name, "weights": weights, "data": data, "predict": window, "tta": tta,
            "postprocess": rules}  # fmt: skip
