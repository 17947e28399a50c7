from __future__ import annotations

import threading

import pytest

from handbone_cli.training.trackers import Trackers


class Note:
    def __init__(self, fault=None):
        self.heard, self.fault = [], fault

    def log(self, event, values):
        if self.fault:
            raise self.fault
        self.heard.append((event, dict(values), threading.current_thread().name))

    def close(self):
        self.heard.append("closed")


class Stuck(Note):
    def log(self, event, values):
        threading.Event().wait()


def test_all_are_told_in_threads_of_their_own_before_the_call_returns():
    first, second, notes = Note(), Note(), []
    trackers = Trackers([first, second], notes.append)
    trackers.log("epoch", {"loss": 1})
    assert first.heard == second.heard == [("epoch", {"loss": 1}, "Note")]
    assert threading.current_thread().name != "Note"
    trackers.close()
    trackers.close()
    assert first.heard[1:] == ["closed"]
    assert notes == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [(OSError("disk full"), "disk full"), (KeyError(), "KeyError"), (SystemExit(3), "3")],
)
def test_one_that_fails_is_dropped_once_and_the_others_go_on(fault, said):
    bad, good, notes = Note(fault), Note(), []
    trackers = Trackers([bad, good], notes.append)
    trackers.log("epoch", {})
    bad.fault = None
    trackers.log("end", {})
    assert notes == [f"Note is dropped: {said}"]
    assert bad.heard == []
    assert [event for event, *_ in good.heard] == ["epoch", "end"]


def test_one_that_blocks_is_dropped_and_holds_nobody_up():
    good, notes = Note(), []
    trackers = Trackers([Stuck(), good], notes.append, patience=0.05)
    trackers.log("epoch", {})
    trackers.log("end", {})
    trackers.close()
    assert notes == ["Stuck is dropped: it has not answered for 0.05 s"]
    assert [event for event, *_ in good.heard[:2]] == ["epoch", "end"]


def test_a_tracker_that_fails_when_it_is_closed_is_told():
    class Bad(Note):
        def close(self):
            raise OSError("gone")

    notes = []
    Trackers([Bad()], notes.append).close()
    assert notes == ["Bad is dropped: gone"]
