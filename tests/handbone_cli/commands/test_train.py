from __future__ import annotations

import json
import re
import signal

import pytest
import torch

from handbone_cli.networks.weights import load_tensors
from handbone_cli.terminal.training_table import TrainingTable
from handbone_cli.testing import BONES, hb

EPOCH = (
    r"epoch (\d)/2  loss \d\.\d{4}  \d+\.\d s  mean Dice 0\.\d{4}  "
    r"worst (\S+ \d\.\d{3}  ){3}\S+ \d\.\d{3}"
)


def test_what_is_said(trained_run):
    assert re.fullmatch(
        rf"{trained_run.run}: mean Dice 0\.\d{{4}} in epoch [12]\n", trained_run.out
    )
    lines = trained_run.err.splitlines()
    assert lines[0].startswith(f"{trained_run.run}: 8 images to train on, 4 of")
    assert [re.fullmatch(EPOCH, line)[1] for line in lines[1:]] == ["1", "2"]


def test_what_is_written(trained_run):
    names = sorted(path.name for path in trained_run.run.iterdir())
    assert names == [
        "best.safetensors",
        "last.safetensors",
        "metrics.jsonl",
        "recipe.toml",
        "run.json",
    ]
    facts = json.loads((trained_run.run / "run.json").read_text())
    assert facts["class_names"] == list(BONES)
    assert (facts["status"], facts["epochs"]) == ("finished", 2)
    assert len(facts["trained_persons"]) == 4
    assert facts["best_dice"] > 0.3
    assert hb("recipes", "validate", trained_run.run / "recipe.toml").code == 0


def test_metrics(trained_run):
    lines = [json.loads(line) for line in (trained_run.run / "metrics.jsonl").open()]
    assert [(line["event"], line["epoch"]) for line in lines] == [("epoch", 1), ("epoch", 2)]
    for line in lines:
        assert set(line["dice"]) == set(BONES)
        mean = sum(line["dice"].values()) / len(BONES)
        assert line["mean_dice"] == pytest.approx(mean, abs=1e-4)
    assert lines[1]["loss"] < lines[0]["loss"]


def test_the_default_place_and_the_fold(tiny_data, tmp_path):
    sets = ("--set", "train.epochs=1", "--set", "train.patches_per_image=1")
    done = hb("train", tiny_data.recipe, "--fold", 1, *sets, cwd=tmp_path)
    assert done.code == 0, done.err
    facts = json.loads((tmp_path / "runs" / "tiny_fold1" / "run.json").read_text())
    assert facts["recipe"]["data"]["fold"] == 1


def press_ctrl_c(monkeypatch, epoch, step):
    def watch(self, position, steps, loss, images):
        if (position.epoch, position.step) == (epoch, step):
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(TrainingTable, "step", watch)


@pytest.mark.slow  # 2 s: a whole run in two parts
def test_ctrl_c_and_resume_give_the_same_weights(trained_run, tmp_path, monkeypatch):
    run = tmp_path / "run"
    with monkeypatch.context() as patched:
        press_ctrl_c(patched, 1, 7)
        stopped = hb("train", trained_run.data.recipe, "-o", run)
    assert stopped.code == 130
    assert stopped.err.endswith(
        f"stopped; {run / 'last.safetensors'} holds the run: continue with "
        f"`hb train --resume {run}`.\n"
    )
    assert json.loads((run / "run.json").read_text())["status"] == "running"
    resumed = hb("train", "--resume", run)
    assert resumed.code == 0, resumed.err
    assert resumed.out == trained_run.out.replace(str(trained_run.run), str(run))
    for name in ("best.safetensors", "last.safetensors"):
        old, new = (load_tensors(folder / name)[0] for folder in (trained_run.run, run))
        assert old.keys() == new.keys()
        assert all(torch.equal(old[key], new[key]) for key in old), name
    scores = [[json.loads(line)["mean_dice"] for line in (folder / "metrics.jsonl").open()]
              for folder in (trained_run.run, run)]  # fmt: skip
    assert scores[0] == scores[1]


def test_a_finished_run_has_nothing_left(trained_run):
    again = hb("train", "--resume", trained_run.run)
    score = trained_run.out.split("mean Dice ")[1].split()[0]
    assert (again.code, again.out, again.err) == (
        0,
        f"{trained_run.run}: trained already, mean Dice {score}\n",
        "",
    )


def test_no_recipe_is_a_mistake_of_usage():
    done = hb("train")
    assert done.code == 2
    assert "name a RECIPE, or a run with --resume RUN." in done.err
