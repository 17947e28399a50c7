from __future__ import annotations

import json
import time

from handbone_cli.runs.queue.database import Entry
from handbone_cli.runs.queue.job import Job
from handbone_cli.runs.queue.overview import clock, describe, summary


def test_why_a_job_waits(places, job):
    entries = [
        Entry(job("a"), "running"),
        Entry(job("b", after=("a",))),
        Entry(job("c", after=("a", "b", "f", "g"))),
        Entry(job("d")),
        Entry(job("e", gpus=2)),
        Entry(job("f"), failures=1, said="exit code 1: boom"),
        Entry(job("g"), "running", cancel=True),
        Entry(job("h"), "failed", said="exit code 2: no"),
    ]
    rows = {each.job: (each.state, each.why) for each in describe(entries, places)}
    assert rows == {
        "a": ("running", ""),
        "b": ("waiting", "after a"),
        "c": ("waiting", "after a, b and 2 more"),
        "d": ("waiting", "for a free slot"),
        "e": ("waiting", "for 2 GPU"),
        "f": ("waiting", "tries again: exit code 1: boom"),
        "g": ("stopping", ""),
        "h": ("failed", "exit code 2: no"),
    }


def test_a_training_tells_of_its_epochs(places):
    training = Job("a", "train", ("train", "r"), product="out/runs/a")
    run = places.root / "runs" / "a"
    run.mkdir(parents=True)
    facts = {"class_names": ["Ulna"], "status": "running", "recipe": {"train": {"epochs": 9}}}
    (run / "run.json").write_text(json.dumps(facts))
    lines = [{"event": "epoch", "epoch": n, "mean_dice": n / 10} for n in (1, 2, 3)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    entry = Entry(training, "running", attempt=2, slots=("4", "7"), began=time.time() - 65)
    (state,) = describe([entry], places)
    assert state.cells == ("a", "running", "2", "4,7", "3/9", "0.3000", "1:05", "")
    assert (state.command, state.log) == ("hb train r", str(places.job_log("a")))


def test_a_job_that_has_not_begun(places, job):
    (state,) = describe([Entry(job("a"))], places)
    assert state.cells == ("a", "waiting", "-", "-", "-", "-", "-", "for a free slot")


def test_a_summary_counts_what_is_there(places, job):
    words = ("finished", "waiting", "finished", "running")
    states = describe([Entry(job(str(n)), word) for n, word in enumerate(words)], places)
    assert summary(states) == "1 running, 1 waiting, 2 finished"


def test_clock():
    assert [clock(s) for s in (7.9, 65, 7500)] == ["0:07", "1:05", "2:05:00"]
