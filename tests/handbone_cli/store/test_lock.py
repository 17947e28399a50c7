from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.processes import describe_process
from handbone_cli.store import lock
from handbone_cli.store.lock import WriterLock, writer_of

HOLDER = """
import sys, time, pathlib
from handbone_cli.store.lock import WriterLock
held = WriterLock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(60)
"""
ELSEWHERE = {"host": "elsewhere", "pid": 4711, "since": "1"}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "writer.lock"


@pytest.fixture
def no_kernel_locks(monkeypatch):
    """As on a file system that has none."""
    monkeypatch.setattr(lock, "_kernel_lock", lambda _: None)


@pytest.fixture
def holder(path):
    command = [sys.executable, "-c", HOLDER, str(path)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    yield child
    child.kill()
    child.communicate()


def said(path):
    with pytest.raises(HandboneError) as caught:
        WriterLock(path)
    return str(caught.value)


def test_a_lock_says_who_has_it_and_goes_when_it_is_given_back(path):
    held = WriterLock(path)
    assert json.loads(path.read_bytes()) == describe_process()
    assert writer_of(path.parent) == f"process {os.getpid()} on {describe_process()['host']}"
    held.release()
    held.release()
    assert not path.exists()
    assert writer_of(path.parent) is None
    WriterLock(path).release()


def test_a_second_writer_of_this_process_is_refused(path):
    held = WriterLock(path)
    assert said(path) == (
        f"{path.parent}: process {os.getpid()} on {describe_process()['host']} writes this store; "
        "wait until it is done, or stop it."
    )
    assert path.exists()
    held.release()


def test_another_process_is_refused_until_it_is_killed(path, holder):
    assert f"process {holder.pid} on" in said(path)
    assert said(path).endswith("or stop it.")
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert json.loads(path.read_bytes())["pid"] == holder.pid  # it left its lock behind
    assert writer_of(path.parent) is None
    WriterLock(path).release()


def test_without_kernel_locks_what_is_written_decides(path, no_kernel_locks):
    held = WriterLock(path)
    assert said(path).endswith("wait until it is done, or stop it.")
    held.release()
    path.write_text(json.dumps({**describe_process(), "since": "1"}))  # a number given out again
    WriterLock(path).release()


def test_without_kernel_locks_a_killed_process_is_succeeded(path, holder, no_kernel_locks):
    assert f"process {holder.pid} on" in said(path)
    holder.kill()
    holder.wait()
    WriterLock(path).release()


def test_another_hosts_lock_is_never_taken(path):
    path.write_text(json.dumps(ELSEWHERE))
    assert said(path) == (
        f"{path.parent}: process 4711 on elsewhere writes this store; wait until it is done, or "
        f"stop it; if that one is over, delete {path}."
    )
    assert json.loads(path.read_bytes()) == ELSEWHERE
    assert writer_of(path.parent) == "process 4711 on elsewhere"


@pytest.mark.parametrize("content", ["", '{"host": "x"', "[]", '{"pid": "7"}'])
def test_a_torn_lock_is_nobodys_where_the_kernel_says_so(path, content):
    path.write_text(content)
    held = WriterLock(path)
    assert json.loads(path.read_bytes()) == describe_process()
    held.release()


def test_a_torn_lock_may_be_one_that_is_being_written_elsewhere(path, no_kernel_locks):
    path.write_text("")
    assert said(path).endswith(f"another process writes this store; wait until it is done, or "
                               f"stop it; if that one is over, delete {path}.")  # fmt: skip


@pytest.mark.parametrize(
    "content",
    ["", json.dumps({**describe_process(), "since": "1"})],
    ids=["nothing", "a process that is over"],
)
def test_the_kernels_word_counts_before_what_is_written(path, monkeypatch, content):
    """A process that just made the file, or one that a dead writer has left its handle to."""
    path.write_text(content)
    monkeypatch.setattr(lock, "_kernel_lock", lambda _: False)
    assert said(path).endswith("writes this store; wait until it is done, or stop it.")
    assert path.read_text() == content


def test_a_lock_that_goes_away_just_then_is_made_anew(path, monkeypatch):
    path.write_text("")
    real, calls = lock._kernel_lock, []

    def gone_once(handle):
        calls.append(handle)
        if len(calls) == 1:
            path.unlink()
        return real(handle)

    monkeypatch.setattr(lock, "_kernel_lock", gone_once)
    held = WriterLock(path)
    assert len(calls) == 2
    assert path.exists()
    held.release()


def test_a_folder_that_may_not_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("x")
    assert said(tmp_path / "file" / "writer.lock").endswith("is a file, not a folder.")


def test_a_full_disk_leaves_no_lock(path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lock.os, "fsync", full)
    assert said(path).startswith(f"{path}: cannot write it: the disk is full")
    assert not path.exists()
