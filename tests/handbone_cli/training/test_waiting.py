from __future__ import annotations

from types import SimpleNamespace

import pytest

from handbone_cli.recipe.schema import Data
from handbone_cli.training import waiting
from handbone_cli.training.waiting import Waits


class Told:
    def __init__(self):
        self.shares, self.notes = [], []

    def waited(self, share):
        self.shares.append(share)

    def note(self, line):
        self.notes.append(line)


@pytest.fixture
def clock(monkeypatch):
    """A clock that moves only when a test says so."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(waiting.time, "perf_counter", lambda: clock.now)
    return clock


def run_epoch(waits, clock, wait, work, steps=10):
    def batches():
        for step in range(steps):
            clock.now += wait
            yield step

    seen = []
    for step in waits.watch(batches()):
        seen.append(step)
        clock.now += work
    assert seen == list(range(steps))


def test_the_share_follows_the_last_steps(clock):
    waits = Waits(told := Told(), Data())
    run_epoch(waits, clock, 1.0, 3.0)
    assert told.shares == pytest.approx([0.25] * 10)
    run_epoch(waits, clock, 0.0, 4.0, steps=100)
    assert told.shares[-1] < 0.01
    assert all(late < early for early, late in zip(told.shares[9:], told.shares[10:], strict=False))
    first = told.shares[10]
    sums = sum(0.95**age for age in range(1, 11))
    assert first == pytest.approx(sums / (4 * (sums + 1)))


@pytest.mark.parametrize(
    ("keys", "advice"),
    [
        ({}, "set data.workers, one for every free core"),
        ({"workers": 2}, "give data.workers more than 2"),
        ({"workers": 0, "cache": False},
         "set data.cache = true, or give data.workers more than 0"),
    ],
)  # fmt: skip
def test_a_loader_that_is_too_slow_is_told_once(clock, keys, advice):
    waits = Waits(told := Told(), Data(**keys))
    run_epoch(waits, clock, 50.0, 1.0)
    assert told.notes == []  # the first epoch prepares images
    run_epoch(waits, clock, 7.0, 18.0)
    (note,) = told.notes
    assert note == (
        f"28 % of the last epoch went by in waiting for patches: {advice}; "
        "`hb train --resume RUN --set ...` goes on with that."
    )
    run_epoch(waits, clock, 7.0, 1.0)
    assert len(told.notes) == 1


def test_little_waiting_is_not_told(clock):
    waits = Waits(told := Told(), Data())
    for _ in range(9):
        run_epoch(waits, clock, 2.0, 8.5)  # 19 %
    assert told.notes == []
    for _ in range(3):
        run_epoch(Waits(told, Data()), clock, 9.0, 1.0)  # first epochs all
    waits = Waits(told, Data())
    for _ in range(6):
        run_epoch(waits, clock, 1.0, 1.0)  # half of it, but 50 s in all
    assert told.notes == []
    run_epoch(waits, clock, 1.5, 1.0)
    assert len(told.notes) == 1


def test_an_epoch_that_is_broken_off_is_not_judged_and_its_loader_is_closed(clock):
    waits, closed = Waits(told := Told(), Data()), []

    def batches():
        try:
            while True:
                clock.now += 99.0
                yield 0
        finally:
            closed.append(True)

    run_epoch(waits, clock, 0.1, 1.0)
    for _ in waits.watch(batches()):
        break
    assert (closed, told.notes) == ([True], [])


def test_what_a_loader_raises_is_raised():
    def batches():
        yield 1
        raise ValueError("torn")

    with pytest.raises(ValueError, match="torn"):
        list(Waits(Told(), Data()).watch(batches()))
