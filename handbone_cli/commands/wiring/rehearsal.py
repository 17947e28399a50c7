"""A recipe's whole way on two of its images: what is wrong, and what the run will take."""

from __future__ import annotations

import itertools
import math
import shutil
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray

    from handbone_cli.commands.wiring.loading import RunData
    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.training.loop import Training

GIB = 2**30
STEPS = 3
"""Of training; the first one also warms up, so the quickest one is what a step takes."""


class StepTimes:
    """Watches the loop: when each step ended, and what it noted."""

    def __init__(self) -> None:
        self._ends: list[float] = []
        self.notes: list[str] = []

    def step(self, *_: Any) -> None:
        """After every step."""
        self._ends.append(time.perf_counter())

    def begin(self) -> None:
        """The clock of the first step."""
        self._ends = [time.perf_counter()]

    @property
    def quickest(self) -> float:
        """Seconds of a step that warmed nothing up."""
        return min(late - early for early, late in itertools.pairwise(self._ends))

    def waited(self, share: float) -> None:
        """The first steps wait for workers that start, and tell nothing of later ones."""

    def validating(self, done: int) -> None:
        """There is no validation in a rehearsal."""

    def epoch(self, values: dict[str, Any], dice: NDArray[np.float64] | None) -> None:
        """The only epoch."""

    def note(self, line: str) -> None:
        """What the loop wants people to know."""
        self.notes.append(line)


@dataclass
class Rehearsal:
    """One pass through data, training, prediction and submission.

    Attributes:
        recipe: with defaults.
        registry: of plugins.
        folder: empty; everything is written here.
        figures: what was measured and what follows from it, in words.
        mistakes: one sentence each.
        remarks: what else a person should know.
    """

    recipe: Recipe
    registry: Registry
    folder: Path
    figures: dict[str, str] = field(default_factory=dict)
    mistakes: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    _seconds: float = 0.0
    _steps: int = 1

    def run(self, say: Callable[[str], None]) -> None:
        """All stages; one that fails is told, and those that need it are left out."""
        try:
            say("data")
            data = self._gather()
            say("three training steps")
            job = self._train(data)
            say("one window, one store, one CSV")
            self._predict(data, job)
        except HandboneError as error:
            self.mistakes.append(str(error))

    def _gather(self) -> RunData:
        from handbone_cli.commands.wiring.loading import gather
        from handbone_cli.training.schedule import refuse_schedule
        from handbone_cli.training.trackers import check_trackers

        data = gather(self.recipe, self.registry)
        self.mistakes += data.dataset.problems()
        self.figures["images to train on"] = str(len(data.training))
        self.figures["images of people left out"] = str(len(data.validation))
        try:
            refuse_schedule(self.recipe, validates=bool(data.validation))
        except HandboneError as error:
            self.mistakes.append(str(error))
        try:
            check_trackers(self.recipe, self.registry)
        except HandboneError as error:
            self.mistakes.append(str(error))
        return data

    def _train(self, data: RunData) -> Training:
        from handbone_cli.commands.wiring.finetuning import refuse_leak
        from handbone_cli.commands.wiring.loading import RunData, build_source
        from handbone_cli.commands.wiring.training import build_learner, describe, wire
        from handbone_cli.commands.wiring.weights import match_initial_weights
        from handbone_cli.runs.directory import RunDirectory
        from handbone_cli.training.loop import train

        keys = self.recipe.train
        two = largest(data.training, 2)
        patches = STEPS * keys.batch_size * keys.accumulate
        short = self._rehearsed(math.ceil(patches / len(two)))
        source = build_source(short, data.dataset, two, data.images)
        few = RunData(data.dataset, data.images, source, two, [])
        run, watch = RunDirectory(self.folder / "run"), StepTimes()
        header = describe(short, data.dataset, two)
        run.create(short, header)
        match = match_initial_weights(self.recipe, self.registry)
        refuse_leak(match, self.recipe, data.validation)
        learner = build_learner(short, few, self.registry, match, resume=False)
        job = wire(short, few, learner, run, self.registry, header, watch)
        watch.begin()
        train(job)
        job.trackers.close()
        self.remarks += watch.notes
        self._seconds = watch.quickest
        self._steps = max(len(data.source) // (keys.batch_size * keys.accumulate), 1)
        self.figures |= peaks(job.device)
        self.figures["a step"] = f"{self._seconds:.2f} s, {self._steps} an epoch"
        needed = run.last.stat().st_size * (keys.keep + 1) + run.best.stat().st_size
        self.figures["disk for checkpoints"] = in_bytes(needed)
        free = shutil.disk_usage(self.folder).free
        if free < needed:
            self.mistakes.append(
                f"{self.folder.parent}: {in_bytes(free)} are free and the checkpoints need "
                f"{in_bytes(needed)}; free some, or train on another disk with -o."
            )
        return job

    def _rehearsed(self, patches_per_image: int) -> Recipe:
        """The recipe for one short epoch that nobody is told of."""
        from handbone_cli.recipe.schema import Scheduler, Tracking

        epoch = {"patches_per_image": patches_per_image, "epochs": 1, "save_minutes": 0.0}
        return self.recipe.model_copy(
            update={
                "train": self.recipe.train.model_copy(update=epoch),
                "scheduler": Scheduler(name="none"),
                "tracking": Tracking(trackers=()),
            }
        )

    def _predict(self, data: RunData, job: Training) -> None:
        from handbone_cli.commands.wiring.datasets import mirror_pairs_of
        from handbone_cli.commands.wiring.prediction import build_predictor
        from handbone_cli.prediction.sliding_window import starts

        asked, names = self.recipe.predict, data.dataset.class_names
        sample = largest(data.training, 1)[0]
        frame = data.images.frame(sample)
        predictor = build_predictor(
            job.judged, self.recipe, self.registry, names,
            tta=self.recipe.tta, mirror_pairs=mirror_pairs_of(data.dataset),
        )  # fmt: skip
        grey = sample.read_image()
        windows = 1
        if asked.sliding:
            ratios = (frame.size[0] / frame.target[0], frame.size[1] / frame.target[1])
            height, width = (math.ceil(asked.window * ratio) for ratio in ratios)
            grey = grey[:height, :width]
            windows = math.prod(
                len(starts(side, asked.window, asked.stride)) for side in frame.target
            )
        began = time.perf_counter()
        probabilities = predictor.predict(grey)
        seconds = time.perf_counter() - began
        self.figures["a window"] = (
            f"{seconds:.2f} s with {views(len(predictor.tta))}, {windows} an image"
        )
        keys = self.recipe.train
        plain = seconds / (1 + len(predictor.tta))
        validations = math.ceil(keys.epochs / keys.val_every)
        whole = keys.epochs * self._steps * self._seconds
        whole += validations * len(data.validation) * windows * plain
        self.figures["the run"] = f"{in_hours(whole)} for all {keys.epochs} epochs"
        self._submit(sample, probabilities, names)

    def _submit(
        self, sample: Sample, probabilities: BoxedProbabilities, names: Sequence[str]
    ) -> None:
        from handbone_cli.commands.wiring.masks import open_masks
        from handbone_cli.results.submission import verify_submission, write_submission
        from handbone_cli.store.store import ImageEntry, StoreWriter, image_file

        place, size = self.folder / "store", probabilities.size
        store = StoreWriter(place, names, {}, [sample.image_id], None)
        entry = ImageEntry(sample.person, *size, source=None, sha256="", seen=True)
        store.write(sample.image_id, probabilities, entry)
        store.close()
        written = image_file(place, sample.image_id).stat().st_size
        self.figures["disk for a window's store"] = in_bytes(written)
        masks, _ = open_masks(place, self.registry)
        table = self.folder / "submission.csv"
        write_submission(table, masks.image_ids, masks.class_names, masks.mask)
        verify_submission(table, masks.image_ids, masks.class_names, masks.mask)


def largest(samples: Sequence[Sample], count: int) -> list[Sample]:
    """The samples of the largest files; any where there are no files."""
    return sorted(samples, key=lambda s: -s.path.stat().st_size if s.path else 0)[:count]


def peaks(device: torch.device) -> dict[str, str]:
    """The most memory so far, of the GPU and of this process."""
    import resource
    import sys

    import torch

    unit = 1 if sys.platform == "darwin" else 1024
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    found = {"peak memory of the process": in_bytes(resident)}
    if device.type == "cuda":
        found["peak memory of the GPU"] = in_bytes(torch.cuda.max_memory_allocated(device))
    return found


def views(count: int) -> str:
    """What TTA adds, in words."""
    return "no TTA" if count == 0 else f"{count} more view{'s' if count > 1 else ''}"


def in_bytes(count: float) -> str:
    """GiB, or MiB below half of one."""
    return f"{count / GIB:.2f} GiB" if count >= GIB / 2 else f"{count / 2**20:.1f} MiB"


def in_hours(seconds: float) -> str:
    """Hours, or minutes below one hour."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"
