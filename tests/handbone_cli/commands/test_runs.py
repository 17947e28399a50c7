from __future__ import annotations

import json
import re
import shutil
import time

import pytest

from handbone_cli.files import write_json
from handbone_cli.processes import describe_process
from handbone_cli.testing import hb, tiny_recipe


@pytest.fixture
def folder(trained_run, tmp_path):
    """Copies of one run in several states."""
    for name in ("finished", "deep/er/running", "died", "elsewhere", "failed"):
        shutil.copytree(trained_run.run, tmp_path / "runs" / name)
    own, changes = describe_process(), {}
    changes["deep/er/running"] = {"status": "running", "process": own}
    changes["died"] = {"status": "running", "process": {**own, "since": "1"}}
    changes["elsewhere"] = {"status": "running", "process": {**own, "host": "far"}}
    changes["failed"] = {"status": "failed", "said": "no room"}
    for name, change in changes.items():
        path = tmp_path / "runs" / name / "run.json"
        facts = json.loads(path.read_text())
        for key in ("best_dice", "best_epoch", "epochs"):
            facts.pop(key)
        write_json(path, {**facts, **change})
    (tmp_path / "runs" / "begun").mkdir()
    (tmp_path / "runs" / "begun" / "log.txt").write_text("")
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / "log.txt").write_text("one\nhb: no data\n")
    return tmp_path


def test_every_run_has_its_state_and_score(folder, trained_run):
    said = {row["path"]: row for row in json.loads(hb("runs", "list", "--json", cwd=folder).out)}
    assert {path: row["state"] for path, row in said.items()} == {
        "runs/begun": "starting",
        "runs/broken": "not started",
        "runs/deep/er/running": "running",
        "runs/died": "died",
        "runs/elsewhere": "running on far",
        "runs/failed": "failed",
        "runs/finished": "finished",
    }
    lines = [json.loads(line) for line in (trained_run.run / "metrics.jsonl").open()]
    best = max(lines, key=lambda line: line["mean_dice"])
    for name in ("finished", "died"):
        assert said[f"runs/{name}"]["dice"] == pytest.approx(best["mean_dice"])
        assert said[f"runs/{name}"]["best_epoch"] == best["epoch"]
        assert (said[f"runs/{name}"]["epoch"], said[f"runs/{name}"]["epochs"]) == (2, 2)
    table = hb("runs", "list", cwd=folder).out
    begun = next(line.split() for line in table.splitlines() if "runs/begun" in line)
    assert begun[:4] == ["runs/begun", "starting", "-", "-"]
    assert "runs/failed: no room" in table
    assert "runs/broken: hb: no data" in table


def test_a_run_in_full(folder):
    out = hb("runs", "show", "runs/died", cwd=folder).out
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["state"] == "died"
    assert rows["model"] == "nnunet"
    assert "threads" in rows
    assert "best.safetensors" in rows
    said = json.loads(hb("runs", "show", "runs/died", "--json", cwd=folder).out)
    assert said["state"] == "died"
    assert len(said["epochs"]) == 2
    assert said["facts"]["recipe"]["name"] == "tiny"


def test_a_run_shows_its_best_epoch_on_small_bones_and_overlaps(overlapping_run, tmp_path):
    run = shutil.copytree(overlapping_run.run, tmp_path / "run")
    best = json.loads((run / "metrics.jsonl").read_text())
    later = {**best, "epoch": 2, "mean_dice": 0.01, "small_bones": 0.5, "overlap_pairs": {}}
    (run / "metrics.jsonl").write_text("\n".join(map(json.dumps, (best, later))) + "\n")
    lines = [re.split("  +", line) for line in hb("runs", "show", run).out.splitlines()]
    assert ["small bones", f"{best['small_bones']:.4f} (finger-1)"] in lines
    assert ["overlap Radius+Ulna", f"{best['overlap_pairs']['Radius+Ulna']:.4f}"] in lines


def test_a_run_without_groups_shows_none(folder):
    out = hb("runs", "show", "runs/finished", cwd=folder).out
    assert "small bones" not in out
    assert "overlap" not in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("list", "nowhere"), "nowhere: there is no such folder; name the one that holds runs."),
        (("logs", "runs/died"), "runs/died: has no log, it was not started with --bg; "),
        (("show", "runs"), "runs: not a run directory, there is no run.json in it."),
        (("stop", "runs/finished"), "runs/finished: does not run (finished)."),
        (("stop", "runs/elsewhere"), "runs/elsewhere: runs on far, not here; stop it there."),
    ],
)
def test_mistakes(folder, words, sentence):
    done = hb("runs", *words, cwd=folder)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"hb: {sentence}")


def test_an_empty_folder(tmp_path):
    assert hb("runs", "list", tmp_path).out == f"{tmp_path}: no run\n"


def test_a_run_that_lives_is_not_resumed(folder):
    done = hb("train", "--resume", "runs/deep/er/running", cwd=folder)
    assert done.code == 1
    assert "runs/deep/er/running: runs already, as process " in done.err


def test_a_run_that_fails_says_so_in_the_list(tiny_data, tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe(tiny_data.root, optimizer={"lr": 1e30}, train={"clip_norm": 0.0}))
    assert hb("train", recipe, "-o", "runs/a", cwd=tmp_path).code == 1
    (row,) = json.loads(hb("runs", "list", "--json", cwd=tmp_path).out)
    assert row["state"] == "failed"
    assert "lower optimizer.lr" in row["said"]


@pytest.mark.slow  # 20 s: three processes, each of which imports torch
def test_a_run_in_the_background_is_followed_stopped_and_resumed(tiny_data, tmp_path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(tiny_recipe(tiny_data.root, train={"epochs": 2000}))
    begun = hb("train", recipe, "-o", "runs/a", "--bg", cwd=tmp_path)
    assert begun.out.startswith("runs/a: runs in the background as process ")

    def state():
        return json.loads(hb("runs", "list", "--json", cwd=tmp_path).out)[0]

    deadline = time.monotonic() + 120
    while state()["epoch"] < 1:
        assert time.monotonic() < deadline
        assert state()["state"] in {"starting", "running"}, hb(
            "runs", "logs", "runs/a", cwd=tmp_path
        )
        time.sleep(0.2)
    assert hb("runs", "stop", "runs/a", cwd=tmp_path).code == 0
    assert state()["state"] == "stopped"
    log = hb("runs", "logs", "-f", "runs/a", cwd=tmp_path).out
    assert "8 images to train on" in log
    assert "holds the run: continue with" in log
    epochs = state()["epoch"]
    again = hb("train", "--resume", "runs/a", "--bg", cwd=tmp_path)
    assert again.code == 0
    while state()["epoch"] == epochs:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert hb("runs", "stop", "runs/a", cwd=tmp_path).code == 0


def test_curves_are_drawn_again_from_the_record(folder):
    svg = folder / "runs" / "died" / "curves.svg"
    svg.unlink(missing_ok=True)
    done = hb("runs", "curves", "runs/died", cwd=folder)
    assert (done.code, done.out, done.err) == (0, "runs/died/curves.svg: 2 epochs\n", "")
    again = hb("runs", "curves", "runs/died", "-o", "mine/died.svg", cwd=folder)
    assert again.out == "mine/died.svg: 2 epochs\n"
    assert (folder / "mine" / "died.svg").read_text() == svg.read_text()
    assert "died: 2 epochs" in svg.read_text()
    assert hb("runs", "curves", "runs/died", cwd=folder).code == 0  # over its own


def test_no_curves_without_epochs_and_over_no_file_of_others(folder):
    (folder / "runs" / "died" / "metrics.jsonl").write_text('{"event": "epo')
    done = hb("runs", "curves", "runs/died", cwd=folder)
    assert (done.code, done.err) == (
        1, "hb: runs/died: no epoch is over yet, so there is nothing to draw.\n",
    )  # fmt: skip
    (folder / "notes.svg").write_text("<svg/>")
    done = hb("runs", "curves", "runs/failed", "-o", "notes.svg", cwd=folder)
    assert (done.code, (folder / "notes.svg").read_text()) == (1, "<svg/>")
    assert done.err.startswith("hb: notes.svg: is there already and is not curves that hb wrote; ")
    assert hb("runs", "curves", "runs", cwd=folder).code == 1
