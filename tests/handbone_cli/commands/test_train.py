from __future__ import annotations

import json
import re
import shutil
import signal

import pytest
import torch

from handbone_cli.networks.weights import load_tensors
from handbone_cli.recipe.load import parse_toml
from handbone_cli.terminal.training_table import TrainingTable
from handbone_cli.testing import BONES, hb
from handbone_cli.training.checkpoint import Position

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
        "curves.svg",
        "last.safetensors",
        "metrics.jsonl",
        "pictures",
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


def test_small_bones_and_overlaps_are_told_and_logged(overlapping_run):
    (line,) = [json.loads(line) for line in (overlapping_run.run / "metrics.jsonl").open()]
    assert line["small_bones"] == line["dice"]["finger-1"]
    ((pair, overlap),) = line["overlap_pairs"].items()
    assert pair == "Radius+Ulna"
    assert 0 < overlap < 1
    facts = json.loads((overlapping_run.run / "run.json").read_text())
    assert facts["small_bone_names"] == ["finger-1"]
    said = overlapping_run.err.splitlines()[-1]
    assert f"  small bones {line['small_bones']:.4f}  overlaps {overlap:.4f}  worst " in said


def test_hands_whose_bones_are_alike_and_apart_have_no_groups(trained_run):
    for line in (trained_run.run / "metrics.jsonl").open():
        assert not {"small_bones", "overlap_pairs"} & json.loads(line).keys()
    assert "small_bone_names" not in json.loads((trained_run.run / "run.json").read_text())


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
    assert json.loads((run / "run.json").read_text())["status"] == "stopped"
    resumed = hb("train", "--resume", run)
    assert resumed.code == 0, resumed.err
    assert resumed.out == trained_run.out.replace(str(trained_run.run), str(run))
    for name in ("best.safetensors", "last.safetensors"):
        old, new = (load_tensors(folder / name)[0] for folder in (trained_run.run, run))
        assert old.keys() == new.keys()
        assert all(torch.equal(old[key], new[key]) for key in old), name
    lines = [[json.loads(line) for line in (folder / "metrics.jsonl").open()]
             for folder in (trained_run.run, run)]  # fmt: skip
    for whole, cut in zip(*lines, strict=True):
        assert {**whole, "seconds": 0} == {**cut, "seconds": 0}


def test_a_finished_run_has_nothing_left(trained_run):
    again = hb("train", "--resume", trained_run.run)
    score = trained_run.out.split("mean Dice ")[1].split()[0]
    assert (again.code, again.out, again.err) == (
        0,
        f"{trained_run.run}: trained already, mean Dice {score}\n",
        "",
    )


def test_a_finished_run_of_other_settings_is_not_taken_for_this_one(trained_run):
    again = hb("train", "--resume", trained_run.run, "--set", "train.epochs=3")
    assert (again.code, again.out) == (1, "")
    assert again.err == (
        f"hb: {trained_run.run}: was trained with another recipe: train.epochs (2 then, 3 now); "
        "resume it without RECIPE and --set, or start a new run with another -o.\n"
    )
    same = hb("train", trained_run.data.recipe, "--resume", trained_run.run, "--fold", 2)
    assert same.code == 0, same.err


def test_the_recipe_of_a_run_has_the_options_of_its_plugins(trained_run):
    recipe = parse_toml(trained_run.run / "recipe.toml")
    assert recipe["model"]["norm"] == "instance"
    assert recipe["loss"]["terms"][0] == {
        "name": "dice", "weight": 1.0, "batch": True, "smooth": 1.0,
    }  # fmt: skip


def test_what_may_change_on_resuming_does_change(trained_run, tmp_path, monkeypatch):
    shutil.copytree(trained_run.run, tmp_path / "run")
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    (tmp_path / "run" / "run.json").write_text(json.dumps({**facts, "status": "stopped"}))
    command = ("train", "--resume", tmp_path / "run", "--set", "tracking.trackers=[]")
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    seen = []
    monkeypatch.setattr(
        "handbone_cli.training.loop.train", lambda job, resume: seen.append(job) or Position(2)
    )
    assert hb(*command).code == 0
    (job,) = seen
    job.trackers.log("epoch", {"epoch": 9})
    assert job.header["recipe"]["model"]["norm"] == "instance"
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before


def test_resume_takes_no_output(trained_run, tmp_path):
    done = hb("train", "--resume", trained_run.run, "-o", tmp_path / "other")
    assert done.code == 2
    assert "--resume RUN goes on in RUN; leave out -o." in done.err


def test_a_run_that_never_saved_is_started_afresh_in_its_folder(trained_run, tmp_path):
    shutil.copytree(trained_run.run, tmp_path / "run")
    for name in ("last.safetensors", "best.safetensors"):
        (tmp_path / "run" / name).unlink()
    sets = ("--set", "train.epochs=1", "--set", "train.patches_per_image=1")
    done = hb("train", trained_run.data.recipe, *sets, "-o", tmp_path / "run")
    assert done.code == 0, done.err
    assert len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) == 1


def test_no_recipe_is_a_mistake_of_usage():
    done = hb("train")
    assert done.code == 2
    assert "name a RECIPE, or a run with --resume RUN or --finetune RUN." in done.err


def test_an_unknown_optimizer_leaves_no_run_behind(tiny_data, tmp_path):
    done = hb("train", tiny_data.recipe, "-o", tmp_path / "run", "--set", "optimizer.name=adamm")
    assert done.code == 1
    assert "adamm" in done.err
    assert not (tmp_path / "run").exists()
