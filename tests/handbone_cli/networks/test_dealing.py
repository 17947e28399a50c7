"""One process alone; what several do is tested in commands/test_predict_devices.py."""

from __future__ import annotations

import pytest

from handbone_cli.errors import LostRankError
from handbone_cli.networks import dealing
from handbone_cli.networks.dealing import Dealing


def test_each_job_once_and_then_none():
    mine = Dealing(3)
    assert [mine.take() for _ in range(5)] == [0, 1, 2, None, None]
    assert [mine.finish() for _ in range(3)] == [1, 2, 3]
    assert not mine.is_stopped


def test_nobody_gets_a_job_after_a_stop():
    mine, other = Dealing(3), Dealing(3)
    mine.take()
    mine.stop()
    assert mine.take() is None
    assert mine.is_stopped
    assert not other.is_stopped
    assert other.take() == 0


def test_processes_share_counts_of_the_same_dealing(monkeypatch):
    """As two processes that begin the same dealings, one after another, would see it."""
    counts = {}

    def shared(name, number):
        counts[name] = counts.get(name, 0) + number
        return counts[name]

    monkeypatch.setattr(dealing, "add_to_shared", shared)
    monkeypatch.setattr(dealing, "_dealings", iter([0, 1, 0, 1]))
    first, second, *others = [Dealing(4) for _ in range(4)]
    assert [first.take(), others[0].take(), first.take(), second.take()] == [0, 1, 2, 0]
    others[0].stop()
    assert first.is_stopped
    assert not second.is_stopped


def test_to_stop_needs_no_first_process_and_to_go_on_does(monkeypatch):
    def gone(*_):
        raise LostRankError("gone")

    monkeypatch.setattr(dealing, "add_to_shared", gone)
    mine = Dealing(4)
    mine.stop()
    with pytest.raises(LostRankError):
        mine.take()
