from __future__ import annotations

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.training.checkpoint import Position
from handbone_cli.training.feed import Feed


class Loader:
    """An epoch of whole numbers in batches; a last incomplete one is dropped."""

    def __init__(self, size, count=13):
        self.size, self.count = size, count

    def __len__(self):
        return self.count // self.size

    def epoch(self, number, start=0):
        for index in range(start, len(self)):
            yield [1000 * number + self.size * index + place for place in range(self.size)]


def flat(step):
    return [number for batch in step for number in batch]


def test_steps_are_lists_of_batches():
    feed = Feed.of(Loader, Position(), 2, 3)
    assert len(feed) == 2
    assert [[*step] for step in feed.epoch(1, 1)] == [[[1006, 1007], [1008, 1009], [1010, 1011]]]


def test_an_epoch_of_fewer_batches_is_one_step():
    feed = Feed.of(Loader, Position(), 6, 5)
    assert len(feed) == 1
    assert [len(step) for step in feed.epoch(0, 0)] == [2]


@pytest.mark.parametrize(("size", "parts"), [(2, [1]), (4, [2, 1]), (3, [1]), (6, [3, 1])])
def test_smaller_batches_keep_the_steps(size, parts):
    at = Position()
    feed = Feed.of(Loader, at, size, 1)
    before = [flat(step) for step in feed.epoch(0, 0)]
    for part in parts:
        note = feed.shrink(at, 1)
        assert f"going on with {part}, {size // part} batches to a step" in note
        assert [flat(step) for step in feed.epoch(0, 0)] == before
        assert (at.batch_size, at.accumulate) == (part, size // part)
    again = Feed.of(Loader, at, size, 1)
    assert (again.batch_size, again.accumulate, len(again)) == (1, size, len(before))


@pytest.mark.parametrize(("size", "minimum"), [(1, 1), (2, 2), (3, 2)])
def test_a_batch_that_cannot_be_divided_is_one_sentence(size, minimum):
    feed = Feed.of(Loader, Position(), size, 1)
    with pytest.raises(HandboneError) as caught:
        feed.shrink(Position(), minimum)
    assert str(caught.value) == (
        f"out of memory with a batch of {size}; lower data.patch, set train.recompute = true, "
        "train.precision = 'bf16', or choose a smaller model."
    )
