"""`hb schedule` from the command line: checks, a whole queue of tiny hands, status, cancel."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from handbone_cli.runs.queue.database import Database
from handbone_cli.testing import hb, tiny_recipe

QUICK = """name = "q"
retries = 0
[[job]]
name = "first"
hb = ["recipes", "list"]
[[job]]
name = "second"
hb = ["evaluate", "no_such_store"]
after = ["first"]
[[job]]
name = "third"
hb = ["recipes", "list"]
after = ["second"]
"""
WHOLE = """name = "whole"
slots = 2
[[job]]
name = "tiny"
train = "tiny.toml"
fold = [0, 1]
grid = {{ seed = [3], "optimizer.lr" = [0.02, 0.01] }}
set = {{ "train.epochs" = 1, "train.patches_per_image" = 4 }}
priority = 1
[[job]]
name = "val"
predict = "val"
runs = ["tiny-seed=3-lr=0.02-fold=0", "tiny-seed=3-lr=0.01-fold=0"]
options = ["--tta", "hflip"]
[[job]]
name = "weigh"
ensemble = ["val"]
options = ["--per-class"]
[[job]]
name = "csv"
submit = "weigh"
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A user's folder with a queue of three quick jobs, the second of which fails."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    (tmp_path / "q.toml").write_text(QUICK)
    return tmp_path


def states(folder, queue="q.toml"):
    rows = json.loads(hb("schedule", "status", queue, "--json", cwd=folder).out)
    return {row["job"]: row["state"] for row in rows}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ('["recipes", "lst"]', "job 'x': No such command 'lst'"),
        ('["predict", "a", "-o", "s"]', "job 'x': Missing option '-i'"),
        ('["recipes"]', "job 'x': a command is missing."),
        ('["evaluate", "a", "--jsn"]', "job 'x': No such option"),
        ('["train", "--help"]', "job 'x': asks for help"),
    ],
)
def test_every_command_line_is_read_before_anything_runs(folder, words, said):
    (folder / "q.toml").write_text(f'name = "q"\n[[job]]\nname = "x"\nhb = {words}\n')
    done = hb("schedule", "run", "q.toml", cwd=folder)
    assert done.code == 1
    assert done.err.startswith("hb: 1 mistake in the queue:\n  q.toml: ")
    assert said in done.err
    assert not (folder / "q").exists()


def test_views_are_checked_before_anything_runs(folder, tiny_data):
    text = f"""name = "q"
[[job]]
name = "a"
train = "{tiny_data.recipe}"
[[job]]
name = "val"
predict = "val"
runs = ["a"]
options = ["--tta", "hflop"]
"""
    (folder / "q.toml").write_text(text)
    done = hb("schedule", "run", "q.toml", cwd=folder)
    assert done.code == 1
    assert "job 'val-a': --tta: tta.0.name = 'hflop'" in done.err
    assert "Did you mean 'hflip'" in done.err


def test_a_dry_run_prints_the_commands(folder):
    done = hb("schedule", "run", "q.toml", "--dry-run", cwd=folder)
    assert done.out == (
        "first: hb recipes list\nsecond: hb evaluate no_such_store\nthird: hb recipes list\n"
    )
    assert not (folder / "q").exists()


def test_before_it_has_begun(folder):
    done = hb("schedule", "status", "q.toml", cwd=folder)
    assert done.out.splitlines()[1:] == [
        "first   waiting  -        -    -      -          -     for a free slot",
        "second  waiting  -        -    -      -          -     after first",
        "third   waiting  -        -    -      -          -     after second",
        "q.toml: not begun: 3 waiting",
    ]
    done = hb("schedule", "cancel", "q.toml", cwd=folder)
    assert (done.code, done.err) == (
        1, "hb: q.toml: nothing of it has begun; take jobs out of the file instead.\n"
    )  # fmt: skip
    assert not (folder / "q").exists()


@pytest.mark.slow  # 8 s: three commands of hb, each a Python of its own
def test_what_failed_is_named_and_the_rest_is_done(folder):
    done = hb("schedule", "run", "q.toml", cwd=folder)
    assert done.code == 1
    assert done.out == "q: 1 failed, 1 blocked, 1 finished\n"
    ended = done.err[done.err.index("hb: not all") :].splitlines()
    assert ended[0] == "hb: not all jobs are finished:"
    assert ended[1].startswith("  second failed: exit code 1: hb: no_such_store: no such file")
    assert ended[1].endswith("(q/logs/second.log)")
    assert ended[2] == "  third blocked: second failed (q/logs/third.log)"
    assert "first: running\n" in done.err
    # It is put right in the file, and only what is left is done.
    fixed = QUICK.replace('"evaluate", "no_such_store"', '"recipes", "list"')
    (folder / "q.toml").write_text(fixed)
    done = hb("schedule", "run", "q.toml", cwd=folder)
    assert (done.code, done.out) == (0, "q: 3 finished\n")
    assert (folder / "q" / "logs" / "first.log").read_text().count("=== attempt") == 1
    (folder / "q.toml").write_text(fixed.replace('["recipes", "list"]', '["doctor"]', 1))
    done = hb("schedule", "run", "q.toml", cwd=folder)
    assert "job 'first' has begun with another command or recipe: command (recipes" in done.err
    assert done.code == 1


def test_cancelled_jobs(folder):
    with Database.open(folder / "q" / "queue.sqlite", "q") as database:
        from handbone_cli.runs.queue.job import Job

        jobs = [("first", ()), ("second", ("first",)), ("third", ("second",))]
        database.take_in([Job(name, "hb", ("recipes", "list"), after) for name, after in jobs])
    done = hb("schedule", "cancel", "q.toml", "secnd", cwd=folder)
    assert done.err == (
        "hb: q.toml: no job 'secnd'. Did you mean 'second'? Known: first, second, third.\n"
    )
    done = hb("schedule", "cancel", "q.toml", "second", cwd=folder)
    assert (done.code, done.out) == (0, "second: cancelled\n")
    assert hb("schedule", "cancel", "q.toml", "second", cwd=folder).out == (
        "q.toml: nothing to cancel\n"
    )
    assert states(folder) == {"first": "waiting", "second": "cancelled", "third": "waiting"}
    assert hb("schedule", "cancel", "q.toml", cwd=folder).out == (
        "first: cancelled\nthird: cancelled\n"
    )


def test_in_the_background(folder, monkeypatch):
    from handbone_cli.runs import process

    seen = []
    monkeypatch.setattr(process, "start_detached", lambda words, log: seen.append(words) or 77)
    done = hb("schedule", "run", "q.toml", "--bg", "--cancelled", cwd=folder)
    assert done.out.startswith("q.toml: runs in the background as process 77; follow it with")
    assert seen == [["schedule", "run", "q.toml", "--cancelled"]]
    assert states(folder) == {"first": "waiting", "second": "waiting", "third": "waiting"}
    (folder / "q.toml").write_text(QUICK.replace('"recipes", "list"', '"doctor"'))
    with Database.open(folder / "q" / "queue.sqlite", "q") as database:
        database.change("first", state="finished")
    assert hb("schedule", "run", "q.toml", "--bg", cwd=folder).code == 1
    assert len(seen) == 1


def test_following_a_queue_that_nobody_runs_ends(folder):
    done = hb("schedule", "status", "q.toml", "-f", cwd=folder)
    assert (done.code, done.out) == (0, "")


def test_more_gpus_than_there_are(folder, monkeypatch):
    (folder / "q.toml").write_text(QUICK.replace("retries = 0", "gpus = 3"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,-1,2")
    done = hb("schedule", "run", "q.toml", cwd=folder)
    assert done.err == (
        "hb: q: gpus = 3, and 2 can be seen here; lower it, or look at CUDA_VISIBLE_DEVICES.\n"
    )


def start(folder, *words):
    command = [sys.executable, "-m", "handbone_cli", "schedule", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip


def wait_for(condition, process, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.slow  # 90 s: four trainings, two stores, a decision and a CSV
@pytest.mark.timeout(400)
def test_a_whole_queue_with_a_scheduler_that_is_killed(folder, tiny_data):
    (folder / "tiny.toml").write_text(tiny_recipe(tiny_data.root))
    (folder / "q.toml").write_text(WHOLE.format())
    runs = folder / "whole" / "runs"
    first = start(folder, "run", "q.toml")
    try:
        wait_for(lambda: list(runs.glob("*/run.json")), first)
    finally:
        first.kill()  # its jobs live on
        first.communicate()
    done = hb("schedule", "run", "q.toml", cwd=folder)
    assert (done.code, done.out) == (0, "whole: 8 finished\n"), done.err
    assert "runs already, goes on" in done.err
    assert (folder / "whole" / "submissions" / "csv.csv").stat().st_size > 0
    rows = json.loads(hb("schedule", "status", "q.toml", "--json", cwd=folder).out)
    assert [row["attempt"] for row in rows] == [1] * 8
    assert [(row["epoch"], row["epochs"]) for row in rows[:4]] == [(1, 1)] * 4
    assert all(row["dice"] is not None for row in rows[:4])
    assert {row["dice"] for row in rows[4:]} == {None}
    folds = {json.loads(p.read_text())["recipe"]["data"]["fold"] for p in runs.glob("*/run.json")}
    assert folds == {0, 1}


@pytest.mark.slow  # 60 s: one training in two parts
@pytest.mark.timeout(300)
def test_ctrl_c_saves_the_training_and_the_next_goes_on_from_there(folder, tiny_data):
    recipe = tiny_recipe(tiny_data.root, train={"epochs": 30, "save_minutes": 1e-6})
    (folder / "tiny.toml").write_text(recipe)
    text = 'name = "q"\n[[job]]\nname = "a"\ntrain = "tiny.toml"\n'
    (folder / "q.toml").write_text(text)
    run = folder / "q" / "runs" / "a"
    process = start(folder, "run", "q.toml")
    wait_for((run / "last.safetensors").exists, process)
    second = hb("schedule", "run", "q.toml", cwd=folder)
    assert second.code == 1
    assert f"has a scheduler already, process {process.pid}" in second.err
    assert states(folder) == {"a": "running"}
    process.send_signal(signal.SIGINT)
    said = process.communicate()[0]
    assert process.returncode == 130, said
    assert "asked to save themselves" in said
    assert json.loads((run / "run.json").read_text())["status"] == "stopped"
    assert states(folder) == {"a": "stopped"}
    process = start(folder, "run", "q.toml")
    wait_for(lambda: states(folder) == {"a": "running"}, process)
    wait_for(lambda: '"running"' in (run / "run.json").read_text(), process)
    cancelled = hb("schedule", "cancel", "q.toml", "a", cwd=folder)
    assert cancelled.out in ("a: is asked to stop\n", "a: cancelled\n")
    said = process.communicate()[0]
    assert states(folder) == {"a": "cancelled"}
    assert "--resume" in (folder / "q" / "logs" / "a.log").read_text().rpartition("===")[2]
