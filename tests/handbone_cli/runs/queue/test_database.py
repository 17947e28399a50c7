from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.processes import describe_process
from handbone_cli.runs.queue import database as state
from handbone_cli.runs.queue.database import Database, Entry


def by_name(database):
    return {entry.job.name: entry for entry in database.entries()}


def test_jobs_come_back_in_the_order_of_the_file(places, job):
    jobs = [job("b", gpus=2, recipe={"a": {"b": [1]}}), job("a", after=("b",))]
    with Database.open(places.database, "q") as database:
        database.take_in(jobs)
        database.change("a", slots=("4", "7"), said="x", began=1.5)
    with Database.open(places.database, "q") as database:
        again = database.entries()
    assert [entry.job for entry in again] == jobs
    assert again[1] == Entry(jobs[1], slots=("4", "7"), said="x", began=1.5)


def test_a_new_job_is_added_and_one_that_waits_may_change_or_go(database, job):
    database.take_in([job("a"), job("b"), job("c")])
    database.take_in([job("d"), job("b", "exit 1", priority=3)])
    assert list(by_name(database)) == ["d", "b"]
    assert by_name(database)["b"].job == job("b", "exit 1", priority=3)


@pytest.mark.parametrize("word", ["running", "stopped", "finished"])
def test_a_job_that_has_begun_keeps_its_command(database, job, word):
    before = job("a", "exit 0", recipe={"seed": 1})
    database.take_in([before])
    database.change("a", state=word)
    database.take_in([replace(before, priority=7, retries=9)])  # may change at any time
    assert by_name(database)["a"].job.priority == 7
    with pytest.raises(HandboneError) as raised:
        database.take_in([job("b"), job("a", "exit 3", recipe={"seed": 2})])
    assert str(raised.value).endswith(
        "job 'a' has begun with another command or recipe: command (exit 0 then, exit 3 now); "
        "recipe.seed (1 then, 2 now). Give it another name, or change it back."
    )
    assert list(by_name(database)) == ["a"]


@pytest.mark.parametrize("word", ["failed", "blocked", "cancelled", "waiting"])
def test_a_job_that_came_to_nothing_may_have_another_command(database, job, word):
    database.take_in([job("a")])
    database.change("a", state=word, attempt=2, failures=2)
    database.take_in([job("a", "exit 3")])
    entry = by_name(database)["a"]
    assert (entry.state, entry.attempt, entry.failures) == ("waiting", 2, 0)


def test_a_job_that_runs_must_stay_in_the_file(database, job):
    database.take_in([job("a"), job("b")])
    database.change("a", state="running")
    with pytest.raises(HandboneError, match="job 'a' runs and is not in the file any more; cancel"):
        database.take_in([job("b")])


def test_a_finished_job_is_remembered_when_it_leaves_the_file(database, job):
    database.take_in([job("a"), job("b")])
    database.change("a", state="finished")
    database.take_in([job("b")])
    assert list(by_name(database)) == ["b"]
    database.take_in([job("a"), job("b")])
    assert by_name(database)["a"].state == "finished"


def test_a_job_is_taken_once(database, job):
    database.take_in([job("a")])
    assert database.change("a", "waiting", state="running")
    assert not database.change("a", "waiting", state="running")
    database.take_in([job("b"), job("a")])
    database.cancel(["b"])
    assert not database.change("b", "waiting", state="running")


def test_one_scheduler_at_a_time(database, monkeypatch):
    own = describe_process()
    with database.owned(own):
        with pytest.raises(HandboneError, match=rf"has a scheduler already, process {own['pid']}"):
            database._claim(own)
        database.give_sign(own)
    assert database.scheduler() is None
    database._claim({**own, "since": "1"})  # dead
    assert database.scheduler() is None
    with database.owned(own):
        pass


def test_a_scheduler_elsewhere_is_believed_while_it_gives_signs(database):
    other = {"host": "elsewhere", "pid": 1, "since": "1"}
    database._claim(other)
    seen = database._connection.execute("SELECT seen FROM scheduler").fetchone()[0]
    assert database.scheduler(lambda: seen + state.SILENCE - 1) == other
    assert database.scheduler(lambda: seen + state.SILENCE) is None
    with pytest.raises(HandboneError, match="process 1 on elsewhere"):
        database._claim(describe_process())
    database._connection.execute("DELETE FROM scheduler")
    with pytest.raises(HandboneError, match="another scheduler has taken the queue"):
        database.give_sign(other)


def opened(path):
    with Database.open(path, "q") as database:
        database.entries()


def test_files_that_are_something_else(tmp_path):
    (tmp_path / "text").write_text("a,b,c\n" * 1000)
    with pytest.raises(HandboneError, match="text: the queue's state: it is no database; choose"):
        opened(tmp_path / "text")
    with sqlite3.connect(tmp_path / "foreign") as foreign:
        foreign.execute("CREATE TABLE job (name)")
    foreign.close()
    with pytest.raises(HandboneError, match="foreign: a database of something else; choose"):
        opened(tmp_path / "foreign")
    opened(tmp_path / "ours")
    ours = sqlite3.connect(tmp_path / "ours")
    ours.execute("PRAGMA user_version = 99")
    ours.close()
    with pytest.raises(HandboneError, match="ours: of version 99, and this handbone reads 1"):
        opened(tmp_path / "ours")
    with (
        pytest.raises(HandboneError, match="other: the state of the queue 'q', not of 'r'; choose"),
        Database.open(tmp_path / "other", "q"),
        Database.open(tmp_path / "other", "r"),
    ):
        pass
    (tmp_path / "folder").mkdir()
    with pytest.raises(HandboneError, match="folder: the queue's state: it cannot be opened"):
        opened(tmp_path / "folder")


def test_a_file_that_is_cut_off_or_empty(tmp_path, job):
    path = tmp_path / "queue.sqlite"
    with Database.open(path, "q") as database:
        database.take_in([job(f"j{n}", "x" * 500) for n in range(50)])
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(HandboneError, match=r"queue\.sqlite: the queue's state: it is damaged"):
        opened(path)
    path.write_bytes(b"")
    opened(path)


def test_the_journal_needs_no_shared_memory(database):
    assert database._connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"


def test_what_fails_halfway_leaves_everything_as_it_was(database, job, monkeypatch):
    database.take_in([job("a")])
    monkeypatch.setattr(database, "_put", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        database.take_in([job("b")])
    assert list(by_name(database)) == ["a"]
