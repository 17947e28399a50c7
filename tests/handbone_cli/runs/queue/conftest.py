"""A queue of jobs that are a line of Python each, and executors that start them."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from handbone_cli.processes import describe_process
from handbone_cli.runs.queue import scheduler as scheduling
from handbone_cli.runs.queue.database import Database
from handbone_cli.runs.queue.executors.local import LocalExecutor
from handbone_cli.runs.queue.job import Job, Places
from handbone_cli.runs.queue.scheduler import Scheduler
from handbone_cli.runs.queue.slots import Slots


class FakeExecutor:
    """Runs the command at its start, to its end, unless it says `hang`; remembers what it began."""

    grace = 0.0
    has_time_limit = False

    def __init__(self):
        self.begun, self.hung, self.released = [], set(), []

    def start(self, launch):
        command = launch.argv[launch.argv.index("--") + 1 :]
        self.begun.append(SimpleNamespace(name=launch.name, slots=launch.slots, command=command))
        if "hang" in command[-1]:
            self.hung.add(launch.name)
            return launch.name
        launch.log.parent.mkdir(parents=True, exist_ok=True)
        with launch.log.open("ab") as log:
            log.write(b"=== attempt\n")
            log.flush()
            done = subprocess.run(command, stdout=log, stderr=log, check=False)
        launch.attempt.exit_file.write_text(str(done.returncode))
        return launch.name

    def find(self, launch):
        return launch.name if launch.name in self.hung else None

    def poll(self, handle):
        return "running" if handle in self.hung else "over"

    def release(self, handle):
        self.released.append(handle)

    def names(self):
        return [each.name.partition("-q-")[2] for each in self.begun]


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path, Path("out"))


@pytest.fixture
def database(places):
    with Database.open(places.database, "q") as opened:
        yield opened


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(scheduling, "POLL", 0.01)


@pytest.fixture
def job():
    """A job that is a line of shell."""

    def _job(name, code="exit 0", **values):
        return Job(name, "hb", (code,), **values)

    return _job


@pytest.fixture
def fake():
    return FakeExecutor()


@pytest.fixture
def make(database, places, fake):
    """A scheduler of jobs that have been taken in."""

    def _make(*jobs, gpus=(), slots=1, executor=None, **values):
        if jobs:
            database.take_in(jobs)
        values = {"rest": 0.0, "program": ("sh", "-c"), **values}
        return Scheduler(
            "q", database, places, Slots(tuple(gpus), slots), "local",
            lambda _: executor or fake, **values,
        )  # fmt: skip

    return _make


@pytest.fixture
def go(database, make):
    """Run jobs to the end; gives what became of them by name."""

    def _go(*jobs, **values):
        scheduler, process = make(*jobs, **values), describe_process()
        with database.owned(process):
            return {entry.job.name: entry for entry in scheduler.run(process)}

    return _go


@pytest.fixture
def local():
    """Real processes; what a test leaves behind is ended."""
    executor = LocalExecutor()
    yield executor
    for child in executor._children.values():
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()


@pytest.fixture
def wait_until():
    def _wait_until(condition, seconds=20.0):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come about"
            time.sleep(0.02)

    return _wait_until
