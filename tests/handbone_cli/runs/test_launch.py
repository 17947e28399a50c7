from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.ranks import INTERRUPTED, LOST, NEEDED
from handbone_cli.runs import launch
from handbone_cli.runs.launch import Companion, environment_of, free_port, wait_for


class Fake:
    """A process that ends with one code after another look, or when it is killed."""

    def __init__(self, number, *codes):
        self.number, self._codes, self.sent = number, list(codes), []

    @property
    def code(self):
        if self.sent[-1:] == [signal.SIGKILL]:
            return -9
        return self._codes.pop(0) if len(self._codes) > 1 else self._codes[0]

    def send(self, number):
        self.sent.append(number)

    def close(self):
        self.closed = True


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr(launch.time, "sleep", lambda _: None)


@pytest.mark.parametrize(
    ("codes", "cause"),
    [
        ([(0,), (0,)], None),
        ([(130,), (130,)], None),
        ([(LOST,), (None,) * 9 + (-9,)], 1),  # the survivor is looked at first
        ([(None,) * 9 + (LOST,), (1,)], 1),
        ([(1,), (LOST,)], 0),
        ([(LOST,), (LOST,)], 0),  # a network that broke down
    ],
)
def test_the_cause_is_the_one_that_ended_by_itself(codes, cause):
    companions = [Fake(number, *each) for number, each in enumerate(codes)]
    found = wait_for(companions)
    assert (found.number if found else None) == cause


def test_those_that_hang_are_asked_then_killed():
    hanging = Fake(0, None)
    assert wait_for([hanging, Fake(1, -11)], grace=0.5).number == 1
    assert hanging.sent[0] == signal.SIGTERM
    assert hanging.sent[-1] == signal.SIGKILL


def test_those_that_work_apart_are_asked_once_when_one_is_gone():
    others = [Fake(0, *[None] * 9, LOST), Fake(2, *[None] * 9, INTERRUPTED)]
    assert wait_for([others[0], Fake(1, -9), others[1]], apart=True).number == 1
    assert [other.sent for other in others] == [[signal.SIGINT]] * 2
    together = Fake(0, *[None] * 9, LOST)
    wait_for([together, Fake(1, -9)])
    assert together.sent == []


def test_a_list_is_given_and_stdin_stays_open_until_we_are_gone(monkeypatch, tmp_path):
    """More than a pipe holds; the child reads to its end, and then waits for ours."""
    given = b"films/image.png\n" * 9000
    script = (
        "import os, sys\n"
        "from handbone_cli.runs.launch import given_input\n"
        "os.set_blocking(0, True)\n"
        'print(f"hb: {len(given_input())}", file=sys.stderr, flush=True)\n'
        "os.set_blocking(0, False)\n"
        "try:\n"
        "    os.read(0, 1)\n"
        "except BlockingIOError:\n"
        "    sys.exit(7)\n"
    )
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{script}'\n")
    python.chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", str(python))
        companion = Companion(1, [], environment_of(1, 2, 4321), given)
    assert companion._process.wait(20) == 7
    assert companion.why() == "the process of device 1 ended: 144000"
    companion.close()
    assert companion._process.stdin.closed
    assert companion._process.stderr.closed


def test_torchruns_processes_read_no_list(monkeypatch):
    for key in NEEDED:
        monkeypatch.setenv(key, "2")
    with pytest.raises(HandboneError, match=r"^a list on stdin goes to one process; use --devi"):
        launch.given_input()


def test_nobody_is_killed_while_all_run():
    slow = Fake(0, *[None] * 500, 0)
    assert wait_for([slow, Fake(1, *[None] * 900, 0)], grace=0.5) is None
    assert slow.sent == []


def test_a_user_may_choose_threads_but_not_ranks(monkeypatch):
    monkeypatch.setenv("RANK", "7")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(launch.os, "cpu_count", lambda: 6)
    told = environment_of(1, 2, 4321)
    assert (told["RANK"], told["WORLD_SIZE"], told["MASTER_PORT"]) == ("1", "2", "4321")
    assert told["OMP_NUM_THREADS"] == "3"
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert environment_of(1, 2, 4321)["OMP_NUM_THREADS"] == "1"


def test_what_a_process_says_goes_on_but_for_its_sentence(capsys):
    companion = Companion(1, ["recipes", "show", "no_such_recipe"], dict(os.environ))
    companion._process.wait(60)
    assert companion.why().startswith("the process of device 1 ended: ")
    assert "no_such_recipe" in companion.why()
    assert companion.code == 1
    assert capsys.readouterr().err == ""
    companion.close()


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (-9, "was killed by SIGKILL, most often"),
        (-11, "was killed by SIGSEGV"),
        (3, "ended with exit code 3"),
    ],
)
def test_words_for_a_signal_and_a_bare_code(code, words):
    companion = Companion.__new__(Companion)
    companion.number, companion.sentence = 2, ""
    companion._process = type("P", (), {"poll": lambda _self: code})()
    companion._ear = launch.threading.Thread()
    companion._ear.start()
    assert companion.why().startswith(f"the process of device 2 {words}")


def test_killed_by_ctrl_c_is_interrupted():
    companion = Companion.__new__(Companion)
    companion._process = type("P", (), {"poll": lambda _self: -signal.SIGINT})()
    assert companion.code == INTERRUPTED


def test_asked_to_stop_is_told_even_where_all_had_come_to_their_end(monkeypatch):
    class Asked(Fake):
        def __init__(self, number, *_):
            super().__init__(number, None, 0)
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(launch, "Companion", Asked)
    assert launch.launch_training(2, [], Path("run/last")) == INTERRUPTED
    monkeypatch.setattr(launch, "Companion", lambda number, *_: Fake(number, None, 0))
    assert launch.launch_training(2, [], Path("run/last")) == 0


def test_a_port_is_free():
    assert 1024 < free_port() < 65536
