from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import Component, Registry
from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.trackers import Trackers, check_trackers


class Note:
    def __init__(self, fault=None):
        self.heard, self.fault = [], fault
        self.closed = threading.Event()

    def log(self, event, values):
        if self.fault:
            raise self.fault
        self.heard.append((event, dict(values), threading.current_thread().name))

    def close(self):
        self.heard.append("closed")
        self.closed.set()


class Stuck(Note):
    def __init__(self):
        super().__init__()
        self.released = threading.Event()

    def log(self, event, values):
        self.released.wait()


class Album(Note):
    def picture(self, name, rgb, values):
        if self.fault:
            raise self.fault
        self.heard.append((name, rgb, dict(values)))


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


def test_closed_ones_leave_no_thread_behind():
    before = {*threading.enumerate()}
    trackers = Trackers([Note(), Note()], print)
    own = {*threading.enumerate()} - before
    assert len(own) == 2
    trackers.close()
    for thread in own:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError("disk\n  full "), "disk full"),
        (KeyError(), "KeyError"),
        (SystemExit(3), "3"),
        (HandboneError("no room."), "no room."),
    ],
)
def test_one_that_fails_is_dropped_once_and_closed_and_the_others_go_on(fault, said):
    bad, good, notes = Note(fault), Note(), []
    trackers = Trackers([bad, good], notes.append)
    trackers.log("epoch", {})
    bad.fault = None
    trackers.log("end", {})
    assert notes == [f"tracker 'Note' is dropped: {said}"]
    assert bad.closed.wait(10)
    assert bad.heard == ["closed"]
    assert [event for event, *_ in good.heard] == ["epoch", "end"]


def test_two_of_a_name_that_fail_are_both_told():
    notes = []
    Trackers([Note(OSError("a")), Note(OSError("b"))], notes.append).log("epoch", {})
    assert notes == ["tracker 'Note' is dropped: a", "tracker 'Note' is dropped: b"]


def test_one_that_blocks_is_dropped_holds_nobody_up_and_is_closed_when_it_can_be():
    stuck, good, notes = Stuck(), Note(), []
    trackers = Trackers([stuck, good], notes.append, patience=0.05)
    trackers.log("epoch", {})
    trackers.log("end", {})
    trackers.close()
    assert notes == ["tracker 'Stuck' is dropped: it has not answered for 0.05 s"]
    assert [event for event, *_ in good.heard[:2]] == ["epoch", "end"]
    assert stuck.heard == []
    stuck.released.set()
    assert stuck.closed.wait(10)


def test_many_that_block_are_waited_for_together():
    begun, notes = time.monotonic(), []
    Trackers([Stuck() for _ in range(20)], notes.append, patience=0.2).log("epoch", {})
    assert len(notes) == 20
    assert time.monotonic() - begun < 20 * 0.2


def test_a_tracker_that_fails_when_it_is_closed_is_told():
    class Bad(Note):
        def close(self):
            raise OSError("gone")

    notes = []
    Trackers([Bad()], notes.append).close()
    assert notes == ["tracker 'Bad' is dropped: gone"]


def test_pictures_go_to_those_that_take_them_and_cannot_be_written_to():
    plain, album, notes = Note(), Album(), []
    trackers = Trackers([plain, album], notes.append)
    rgb = np.zeros((2, 3, 3), np.uint8)
    trackers.picture("validation/a", rgb, {"epoch": 1})
    ((name, shown, values),) = album.heard
    assert (name, values) == ("validation/a", {"epoch": 1})
    assert np.shares_memory(shown, rgb)
    with pytest.raises(ValueError, match="read-only"):
        shown[:] = 1
    rgb[:] = 1  # ours is still ours
    assert (plain.heard, notes) == ([], [])


def test_one_that_fails_on_a_picture_is_dropped():
    bad, good, notes = Album(ValueError("no RGB")), Album(), []
    trackers = Trackers([bad, good], notes.append)
    trackers.picture("a", np.zeros((1, 1, 3), np.uint8), {})
    bad.fault = None
    trackers.picture("b", np.zeros((1, 1, 3), np.uint8), {})
    assert notes == ["tracker 'Album' is dropped: no RGB"]
    assert [name for name, *_ in good.heard] == ["a", "b"]


def test_trackers_are_built_in_the_threads_that_call_them():
    class Local(Note):
        def __init__(self):
            super().__init__()
            self.home = threading.current_thread()

        def log(self, event, values):
            assert threading.current_thread() is self.home
            super().log(event, values)

    made, notes = [], []
    trackers = Trackers.build({"local": lambda: made.append(Local()) or made[0]}, notes.append)
    trackers.log("epoch", {})
    assert [event for event, *_ in made[0].heard] == ["epoch"]
    assert made[0].home is not threading.current_thread()
    assert notes == []


def test_one_that_cannot_be_built_is_dropped_and_one_built_too_late_is_closed():
    def fail():
        raise ConnectionError("no\nnetwork")

    late, good, free, notes = Note(), Note(), threading.Event(), []
    makers = {"far": fail, "late": lambda: free.wait() and late, "good": lambda: good}
    trackers = Trackers.build(makers, notes.append, patience=0.05)
    trackers.log("epoch", {})
    assert notes == [
        "tracker 'far' is dropped: no network",
        "tracker 'late' is dropped: it has not answered for 0.05 s",
    ]
    free.set()
    assert late.closed.wait(10)
    assert late.heard == ["closed"]
    assert [event for event, *_ in good.heard] == ["epoch"]


def test_what_a_person_can_put_right_ends_it_and_the_others_are_closed():
    def refuse():
        raise HandboneError("log in first.")

    good, notes = Note(), []
    with pytest.raises(HandboneError, match="log in first"):
        Trackers.build({"good": lambda: good, "bad": refuse}, notes.append)
    assert (good.heard, notes) == (["closed"], [])


class Asking:
    """A factory that can be asked."""

    @staticmethod
    def check(options):
        raise HandboneError(f"not with {type(options).__name__}.")


def test_factories_are_asked_before_there_is_a_run():
    registry = Registry()
    for name, factory in (("jsonl", Note), ("asking", Asking)):
        registry.add(Component("trackers", name, factory, None, "", 1, "test", "0"))
    least = {"name": "x", "model": {"name": "m"}, "loss": {"name": "l"}}
    check_trackers(Recipe.model_validate(least), registry)
    asked = Recipe.model_validate({**least, "tracking": {"trackers": [{"name": "asking"}]}})
    with pytest.raises(HandboneError, match="not with NoOptions"):
        check_trackers(asked, registry)
