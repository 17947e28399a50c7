from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from handbone_cli.commands.wiring.threads import WAITING, Behind, ahead
from handbone_cli.processes import told_to_stop


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_jobs(workers):
    def work(job):
        time.sleep(0.002 * (5 - job % 5))
        return job * job

    found = [(job, result.result()) for job, result in ahead(range(20), work, workers)]
    assert found == [(job, job * job) for job in range(20)]


@pytest.mark.parametrize("workers", [0, 1, 2, 5])
def test_no_more_than_a_few_are_ahead(workers):
    drawn = []

    def jobs():
        for job in range(30):
            drawn.append(job)
            yield job

    for job, result in ahead(jobs(), str, workers):
        result.result()
        assert len(drawn) - 1 - job <= (max(WAITING, workers) if workers else 0)
        assert threading.current_thread() is threading.main_thread()


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_job_raises_is_told_in_its_turn(workers):
    def work(job):
        if job == 1:
            raise ValueError("one")
        return job

    results = [result for _, result in ahead(range(3), work, workers)]
    assert (results[0].result(), results[2].result()) == (0, 2)
    with pytest.raises(ValueError, match="one"):
        results[1].result()


def test_a_loop_that_is_left_leaves_no_thread_and_begins_no_job():
    begun = []
    found = ahead(range(100), begun.append, 2)
    next(found)
    found.close()
    assert len(begun) <= 4
    assert not [t for t in threading.enumerate() if t.name.startswith("ahead")]


@pytest.mark.parametrize("threaded", [True, False])
def test_calls_are_made_in_order_and_finished(threaded):
    made, writes = [], Behind(threaded=threaded)
    for number in range(10):
        writes.call(made.append, number)
    writes.finish()
    assert made == list(range(10))


def test_no_more_than_a_few_calls_wait():
    gate, made, begun = threading.Event(), [], []
    writes = Behind(threaded=True)

    def slow(number):
        gate.wait(10)
        made.append(number)

    def feed():
        for number in range(8):
            writes.call(slow, number)
            begun.append(number)

    feeder = threading.Thread(target=feed)
    feeder.start()
    time.sleep(0.1)
    assert (len(begun), made) == (WAITING, [])
    gate.set()
    feeder.join()
    writes.finish()
    assert made == list(range(8))


def test_after_a_call_that_failed_none_is_made():
    made, writes = [], Behind(threaded=True)

    def fail():
        raise OSError("the disk is full")

    writes.call(made.append, 1)
    writes.call(fail)
    with pytest.raises(OSError, match="the disk is full"):  # noqa: PT012  whichever call is next
        for number in range(2, 9):
            writes.call(made.append, number)
        writes.finish()
    writes.finish()
    assert made == [1]


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_asks_and_the_second_breaks_off(name):
    before = signal.getsignal(name)
    with told_to_stop() as stop:
        assert not stop.is_set()
        os.kill(os.getpid(), name)
        assert stop.wait(5)
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012  the signal comes when it comes
            os.kill(os.getpid(), name)
            time.sleep(5)
    assert signal.getsignal(name) is before
