from __future__ import annotations

import json
import shutil

import pytest

from handbone_cli.testing import hb, tiny_recipe

FIGURES = [
    "images to train on",
    "images of people left out",
    "peak memory of the process",
    "a step",
    "disk for checkpoints",
    "a window",
    "the run",
    "disk for a window's store",
]


@pytest.fixture
def recipe(tiny_data, tmp_path):
    path = tmp_path / "tiny.toml"
    path.write_text(tiny_recipe(tiny_data.root))
    return path


def test_a_sound_recipe_is_ready_and_leaves_nothing_behind(recipe, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    done = hb("check", recipe, "--set", "tta=[{name='flip'}]", cwd=tmp_path)
    assert done.code == 0, done.out + done.err
    lines = done.out.splitlines()
    assert [line.split("  ")[0].strip() for line in lines[1:-1]] == FIGURES
    assert lines[-1] == "ready"
    assert "s with 3 more views, 1 an image" in done.out
    assert done.err.splitlines() == [
        "data ...",
        "three training steps ...",
        "one window, one store, one CSV ...",
    ]
    assert [path for path in sorted(tmp_path.rglob("*")) if path.name != "cache"] == before


def test_what_the_run_takes_follows_from_what_was_measured(recipe, tmp_path):
    said = json.loads(hb("check", recipe, "--json", cwd=tmp_path).out)["figures"]
    assert said["images to train on"] == "8"
    assert said["a step"].endswith("s, 40 an epoch")
    more = ("--set", "train.epochs=4000", "--set", "train.accumulate=2")
    longer = json.loads(hb("check", recipe, *more, "--json", cwd=tmp_path).out)["figures"]
    assert longer["a step"].endswith("s, 20 an epoch")
    assert longer["the run"].endswith(" for all 4000 epochs")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("scheduler={name='plateau',patience=9}", "scheduler.patience 9 lowers the rate after"),
        ("optimizer.name=lyon", "no optimizer is named 'lyon'"),
        ("loss={name='overlap',pairs=[['Ulna','Radiux']]}", "Radiux"),
    ],
)
def test_mistakes_that_only_the_run_would_find(recipe, tmp_path, override, sentence):
    done = hb("check", recipe, "--set", override, cwd=tmp_path)
    assert done.code == 1
    (mistake,) = [line for line in done.out.splitlines() if line.startswith("mistake: ")]
    assert sentence in mistake
    assert done.out.splitlines()[-1] == "not ready"
    assert not list(tmp_path.glob(".hb-check-*"))


def test_mistakes_of_the_data_are_told_and_the_rest_is_still_tried(recipe, tiny_data, tmp_path):
    root = shutil.copytree(tiny_data.root, tmp_path / "data")
    next(root.glob("train/outputs_json/ID001/*.json")).unlink()
    done = hb("check", recipe, "--set", f"data.root={root}", "--json", cwd=tmp_path)
    said = json.loads(done.out)
    assert done.code == 1
    assert len(said["mistakes"]) == 1
    assert "image0000" in said["mistakes"][0]
    assert "the run" in said["figures"]


def test_a_mistyped_key_is_caught_before_anything_runs(recipe, tmp_path):
    done = hb("check", recipe, "--set", "train.epoch=5", cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert "Did you mean 'epochs'" in done.err


def test_memory_that_runs_out_is_a_remark(recipe, tmp_path, monkeypatch):
    import torch

    from handbone_cli.training import step

    supervise = step.supervise

    def small(loss, logits, labels, weights):
        if len(labels) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return supervise(loss, logits, labels, weights)

    monkeypatch.setattr(step, "supervise", small)
    done = hb("check", recipe, cwd=tmp_path)
    assert done.code == 0
    assert "note: out of memory with a batch of 4: going on with 2" in done.out


def test_a_disk_that_is_too_small_is_a_mistake(recipe, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=10))
    done = hb("check", recipe, "--set", "data.cache=false", cwd=tmp_path)
    assert done.code == 1
    assert f"mistake: {tmp_path}: 0.0 MiB are free and the checkpoints need 0.1 MiB" in done.out


def test_a_tracker_that_asks_for_something_first_is_a_mistake(recipe, tmp_path, monkeypatch):
    monkeypatch.setattr("handbone_trackers.extras.find_spec", lambda name: None)
    done = hb("check", recipe, "--set", "tracking.trackers=['wandb']", cwd=tmp_path)
    assert done.code == 1
    assert "mistake: tracker 'wandb' needs the package wandb: " in done.out
