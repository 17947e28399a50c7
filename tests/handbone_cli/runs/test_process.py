from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.processes import describe_process, is_alive, since
from handbone_cli.runs import process
from handbone_cli.runs.process import start_detached, stop

SLEEPER = (
    "import signal, time; signal.signal(signal.SIGINT, {}); print('up', flush=True); time.sleep(60)"
)


@pytest.fixture
def sleeper(request):
    code = SLEEPER.format(getattr(request, "param", "signal.SIG_DFL"))
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    child.stdout.readline()
    yield {**describe_process(), "pid": child.pid, "since": since(child.pid)}, child
    child.kill()
    child.communicate()


def test_a_run_on_another_host_is_not_stopped():
    with pytest.raises(HandboneError, match="runs/a: runs on elsewhere, not here; stop it there"):
        stop({**describe_process(), "host": "elsewhere"}, "runs/a", 1.0)


def test_a_process_that_is_over_is_dead_though_nobody_waited_for_it(sleeper):
    described, child = sleeper
    assert is_alive(described) is True
    child.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert is_alive(described) is False
    with pytest.raises(HandboneError, match="runs/a: does not run"):
        stop(described, "runs/a", 1.0)


def test_stop_sends_what_ctrl_c_sends_and_waits(sleeper):
    described, child = sleeper
    stop(described, "runs/a", 10.0)
    assert child.wait() == -signal.SIGINT


@pytest.mark.parametrize("sleeper", ["signal.SIG_IGN"], indirect=True)
def test_a_run_that_does_not_stop_is_told(sleeper):
    described, _ = sleeper
    with pytest.raises(HandboneError, match=r"has not stopped within 1 s; .* \(process \d+\)"):
        stop(described, "runs/a", 1.0, wait=lambda _: None)


def test_a_detached_process_leads_a_session_of_its_own(tmp_path, monkeypatch):
    seen = {}
    spawn = process._spawn

    def note(command, file):
        pid = spawn([sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"], file)
        seen.update(command=command, pid=pid)
        return pid

    monkeypatch.setattr(process, "_spawn", note)
    log = tmp_path / "log.txt"
    log.write_text("before\n")
    assert start_detached(["train", "x"], log) == seen["pid"]
    for _ in range(100):
        if log.read_text() != "before\n":
            break
        time.sleep(0.05)
    assert log.read_text() == "before\nTrue\n"
    assert seen["command"][1:] == ["-m", "handbone_cli", "train", "x"]
