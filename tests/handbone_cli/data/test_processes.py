from __future__ import annotations

import functools
import os
import signal

import pytest

from handbone_cli import HandboneError
from handbone_cli.data import processes as pool
from handbone_cli.data.processes import default_workers, map_in_processes


def test_one_worker_stays_in_this_process_and_is_lazy():
    asked = []

    def jobs():
        for job in range(5):
            asked.append(job)
            yield job

    results = map_in_processes(lambda job: (job, os.getpid()), jobs(), 1)
    assert next(results) == (0, os.getpid())
    assert asked == [0]


@pytest.mark.slow  # 1 s: two processes start
def test_processes_keep_the_order_and_few_jobs_under_way():
    asked = []

    def jobs():
        for job in (-5, 4, -3, 2, -1, 6, -7, 8):
            asked.append(job)
            yield job

    results = map_in_processes(abs, jobs(), 2)
    first = next(results)
    assert len(asked) == 4
    assert [first, *results] == [5, 4, 3, 2, 1, 6, 7, 8]


@pytest.mark.slow  # 1 s: two processes start
def test_processes_never_see_ctrl_c():
    held = functools.partial(signal.pthread_sigmask, signal.SIG_BLOCK)
    assert all(signal.SIGINT in found for found in map_in_processes(held, [()] * 3, 2))
    assert signal.SIGINT not in held(())
    handlers = map_in_processes(signal.getsignal, [signal.SIGINT] * 3, 2)
    assert list(handlers) == [signal.SIG_IGN] * 3


@pytest.mark.slow  # 1 s: two processes start
def test_a_killed_worker_is_told_in_one_sentence():
    with pytest.raises(HandboneError, match=r"was killed, .* run it again with --workers 1"):
        list(map_in_processes(os._exit, [9, 9], 2))


@pytest.mark.slow  # 1 s: two processes start
def test_an_error_in_a_worker_is_raised_here():
    with pytest.raises(ValueError, match="invalid literal"):
        list(map_in_processes(int, ["1", "x"], 2))


def test_default_workers_are_bounded(monkeypatch):
    monkeypatch.setattr(pool.os, "sched_getaffinity", lambda _: range(64), raising=False)
    assert default_workers() == 8
    monkeypatch.setattr(pool.os, "sched_getaffinity", lambda _: range(3), raising=False)
    assert default_workers() == 3
