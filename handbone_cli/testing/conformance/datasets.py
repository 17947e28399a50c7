"""What every dataset must do."""

from __future__ import annotations

import functools
import itertools
import unittest
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.host.interfaces import DatasetContext, EndlessDataset, PairedDataset
from handbone_cli.masks import PackedMask
from handbone_cli.testing.conformance.requirements import require, run_all

if TYPE_CHECKING:
    from handbone_cli.host.interfaces import Dataset, Labels, Sample
    from handbone_cli.testing.trial import Trial

SPLITS = ("train", "test")


@dataclass
class TriedDataset:
    """A dataset with at least one image.

    Attributes:
        dataset: the dataset.
        most: so many samples of each split are read.
    """

    dataset: Dataset
    most: int = 8

    @functools.cached_property
    def splits(self) -> dict[str, list[Sample]]:
        """Its samples by split."""
        return {split: list(self.dataset.samples(split)) for split in SPLITS}

    @property
    def all(self) -> list[Sample]:
        """The samples of both splits, and one that is drawn where it can draw."""
        drawn = [self.dataset.draw(0)] if isinstance(self.dataset, EndlessDataset) else []
        return [*itertools.chain(*self.splits.values()), *drawn]

    @property
    def some(self) -> list[Sample]:
        """Those that are read."""
        return [sample for samples in self.splits.values() for sample in samples[: self.most]]


def names(tried: TriedDataset) -> None:
    """Its classes are a tuple of names, each once; mirror pairs are among them."""
    found = tried.dataset.class_names
    require(bool(found) and isinstance(found, tuple), f"class_names is {found!r}, no tuple")
    require(len(set(found)) == len(found), "a class is named twice")
    pairs = tried.dataset.mirror_pairs if isinstance(tried.dataset, PairedDataset) else ()
    for pair in pairs:
        require(
            len(pair) == 2 and set(pair) <= set(found) and pair[0] != pair[1],
            f"the mirror pair {tuple(pair)} is not two of its classes",
        )


def samples(tried: TriedDataset) -> None:
    """Each image has an id of its own and a person, in the same order at every call."""
    require(bool(tried.all), "the dataset has no image")
    ids = [sample.image_id for sample in tried.all]
    require(len(set(ids)) == len(ids), "two images have one image_id")
    for split, found in tried.splits.items():
        again = [sample.image_id for sample in tried.dataset.samples(split)]
        require(again == [s.image_id for s in found], f"'{split}' came in another order")
    for sample in tried.all:
        _require_facts(sample)


def images(tried: TriedDataset) -> None:
    """An image is (H, W) grey of 8 or 16 bit."""
    for sample in tried.some:
        image = sample.read_image()
        name = sample.image_id
        require(image.ndim == 2 and image.size > 0, f"{name}: the image's shape is {image.shape}")
        require(
            image.dtype.name in {"uint8", "uint16"}, f"{name}: the image's type is {image.dtype}"
        )


def labels(tried: TriedDataset) -> None:
    """Labels are finite outlines of its classes, or masks of the image's size."""
    for sample in tried.some:
        if sample.read_labels is not None:
            size = sample.read_image().shape
            _require_labels(sample, sample.read_labels(), size, len(tried.dataset.class_names))


def workers(tried: TriedDataset) -> None:
    """A sample can be sent to a worker process, which reads the same image and labels."""
    for sample in tried.some:
        name, image, sent = sample.image_id, sample.read_image(), _send(sample)
        require(np.array_equal(image, sent.read_image()), f"{name}: a worker reads another image")
        if sample.read_labels is None or sent.read_labels is None:
            continue
        size, classes = (image.shape[0], image.shape[1]), len(tried.dataset.class_names)
        first, second = (
            PackedMask.from_labels(read(), size, classes)
            for read in (sample.read_labels, sent.read_labels)
        )
        require(np.array_equal(first.planes, second.planes), f"{name}: a worker reads other labels")


def problems(tried: TriedDataset) -> None:
    """What is wrong with the files is told in one line each."""
    for problem in tried.dataset.problems():
        sentence = isinstance(problem, str) and bool(problem) and "\n" not in problem
        require(sentence, f"a problem is one line, not {problem!r}")


CHECKS = (names, samples, images, labels, workers, problems)


def prepare(trial: Trial) -> TriedDataset:
    """A registered dataset whose root is the trial's folder, with what the example wrote there."""
    trial.options  # noqa: B018  the example writes the files now
    tried = TriedDataset(trial.build(DatasetContext(trial.folder)))
    if not any(tried.splits.values()) and trial.component.example is None:
        raise unittest.SkipTest(
            "there is no image in an empty folder; registered with example = a function "
            "folder -> options that writes some, it is tried"
        )
    return tried


def check_dataset(dataset: Dataset, most: int = 8) -> None:
    """A dataset does all that it must (handbone_cli.testing.conformance.datasets.CHECKS).

    Args:
        dataset: with at least one image.
        most: so many samples of each split are read.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedDataset(dataset, most))


def _require_facts(sample: Sample) -> None:
    name = sample.image_id
    whole = bool(name) and name not in {".", ".."} and not set(name) & set("/\\\0\n")
    require(whole, f"the image_id {name!r} cannot be a file's name")
    require(bool(sample.person), f"{name}: no person")
    require(sample.side in {None, "left", "right"}, f"{name}: the side is {sample.side!r}")
    if sample.spacing is not None:
        right = len(sample.spacing) == 2 and all(0 < mm < float("inf") for mm in sample.spacing)
        require(right, f"{name}: the spacing is {sample.spacing!r}")


def _send(sample: Sample) -> Sample:
    """A sample as a worker process gets it."""
    try:
        sent: Sample = ForkingPickler.loads(bytes(ForkingPickler.dumps(sample)))
    except Exception as error:  # what cannot be sent says so in many ways
        raise AssertionError(f"{sample.image_id}: cannot be sent to a worker: {error}") from error
    return sent


def _require_labels(sample: Sample, found: Labels, size: tuple[int, ...], classes: int) -> None:
    name = sample.image_id
    if isinstance(found, PackedMask):
        require(found.size == size, f"{name}: masks of {found.size} for an image of {size}")
        require(found.classes == classes, f"{name}: masks of {found.classes} classes")
        return
    for index, outlines in found.items():
        require(0 <= index < classes, f"{name}: there is no class {index}")
        for outline in outlines:
            shape, kind = outline.shape, outline.dtype
            require(
                len(shape) == 2 and shape[0] >= 3 and shape[1] == 2 and kind == np.float32,
                f"{name}: an outline is (n, 2) float32 with n > 2, not {shape} {kind}",
            )
            require(bool(np.isfinite(outline).all()), f"{name}: an outline is not finite")
