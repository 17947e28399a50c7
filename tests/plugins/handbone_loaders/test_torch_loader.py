from __future__ import annotations

import numpy as np
import pytest
import torch

from handbone_cli import HandboneError, LoaderContext
from handbone_cli.host.interfaces import Patch
from handbone_loaders import torch_loader
from handbone_loaders.torch_loader import build


class Source:
    """Patches that carry their epoch and index."""

    def __init__(self, length):
        self.length = length

    def __len__(self):
        return self.length

    def patch(self, epoch, index):
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


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Killed.", HandboneError),
        ("a bug of a plugin", RuntimeError),
    ],
)
def test_a_worker_that_dies(monkeypatch, said, expected):
    class Broken:
        def __init__(self, *_, **__): ...

        def __iter__(self):
            raise RuntimeError(said)

    monkeypatch.setattr(torch_loader, "DataLoader", Broken)
    with pytest.raises(expected) as caught:
        list(loader().epoch(0))
    assert type(caught.value) is expected
