from __future__ import annotations

import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch

from handbone_cli import HandboneError, LoaderContext
from handbone_cli.host.interfaces import Patch
from handbone_loaders.torch_loader import build


class Source:
    """Patches that carry their epoch and index."""

    def __init__(self, length, bad=()):
        self.length, self.bad, self.faults = length, bad, {}

    def __len__(self):
        return self.length

    def quarantine(self, image_id, fault):
        self.faults[image_id] = fault

    def patch(self, epoch, index):
        if index in self.bad:
            self.quarantine(f"image{index}", f"image{index}.png: the file is empty.")
        image = np.full((1, 4, 5), 100 * epoch + index, np.float32)
        return Patch(image, np.full((4, 5, 2), index, np.uint8))


def loader(length=10, batch=3, workers=0, seed=1):
    return build(None, LoaderContext(Source(length), batch, workers, seed))


def drawn(batches):
    return [images[:, 0, 0, 0].int().tolist() for images, _ in batches]


def test_form():
    images, labels = next(iter(loader().epoch(0)))
    assert (images.shape, images.dtype) == ((3, 1, 4, 5), torch.float32)
    assert (labels.shape, labels.dtype) == ((3, 4, 5, 2), torch.uint8)


def test_an_epoch_is_a_shuffle_that_follows_from_seed_and_number():
    batches = drawn(loader().epoch(2))
    assert len(loader()) == len(batches) == 3
    assert len({index for batch in batches for index in batch}) == 9
    assert batches == drawn(loader().epoch(2))
    assert batches != [[value + 100 for value in batch] for batch in drawn(loader().epoch(1))]
    assert batches != drawn(loader(seed=2).epoch(2))


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_an_epoch_can_be_taken_up_in_the_middle(start):
    assert drawn(loader().epoch(1, start)) == drawn(loader().epoch(1))[start:]


@pytest.mark.parametrize(
    ("length", "batch", "batches"), [(2, 4, 1), (4, 4, 1), (7, 4, 1), (8, 4, 2)]
)
def test_a_single_short_batch_is_kept(length, batch, batches):
    this = loader(length, batch)
    assert len(this) == len(drawn(this.epoch(0))) == batches


def test_workers_give_the_same_batches():
    assert drawn(loader(workers=2).epoch(3)) == drawn(loader().epoch(3))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_bad_image_is_told_of_once(workers):
    notes = []
    source = Source(12, bad=(3, 5))
    this = build(None, LoaderContext(source, 3, workers, 1, note=notes.append))
    for epoch in range(3):
        list(this.epoch(epoch))
    assert sorted(notes) == [
        "quarantined: image3.png: the file is empty.",
        "quarantined: image5.png: the file is empty.",
    ]
    assert sorted(source.faults) == ["image3", "image5"]


class Dying(Source):
    """A source whose third patch kills the process it is drawn in, unless that is the main one."""

    def patch(self, epoch, index):
        if index % 7 == 3 and multiprocessing.parent_process() is not None:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().patch(epoch, index)


@pytest.mark.slow  # 5 s: torch waits so long for workers that died
def test_where_a_worker_dies_this_process_goes_on():
    notes = []
    this = build(None, LoaderContext(Dying(20), 2, 2, 1, note=notes.append))
    assert [drawn(this.epoch(epoch)) for epoch in range(2)] == [
        drawn(loader(20, 2).epoch(epoch)) for epoch in range(2)
    ]
    assert [note.split(",")[0] for note in notes] == ["a worker process of the loader died"]


@pytest.mark.slow  # 5 s: how often torch looks after its workers
def test_a_worker_that_dies_while_the_network_is_busy_breaks_nothing():
    notes = []
    this = build(None, LoaderContext(Source(40), 2, 2, 1, note=notes.append))
    batches = this.epoch(0)
    seen = [next(batches)]
    before = signal.getsignal(signal.SIGCHLD)
    for worker in multiprocessing.active_children():
        os.kill(worker.pid, signal.SIGKILL)
    time.sleep(0.2)  # torch's own handler would raise here
    assert signal.getsignal(signal.SIGCHLD) == before
    seen += list(batches)
    assert drawn(seen) == drawn(loader(40, 2).epoch(0))
    assert len(notes) == 1


class Broken(Source):
    def __init__(self, error):
        super().__init__(6)
        self.error = error

    def patch(self, epoch, index):
        raise self.error


@pytest.mark.parametrize(
    ("workers", "error"),
    [
        (0, HandboneError("no image is left.")),
        (1, HandboneError("no image is left.")),
        (0, RuntimeError("a bug")),
    ],
)
def test_errors_of_the_source_come_through(workers, error):
    this = build(None, LoaderContext(Broken(error), 2, workers, 1))
    with pytest.raises(type(error), match=str(error)) as caught:
        list(this.epoch(0))
    if isinstance(error, HandboneError):
        assert str(caught.value) == "no image is left."
