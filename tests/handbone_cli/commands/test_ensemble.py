from __future__ import annotations

import json
import re
import shutil

import pytest

from handbone_cli.decision import document
from handbone_cli.testing import BONES, hb, tiny_recipe


def test_the_decision(weighed, trained_run, second_run):
    decision = document.load(weighed.decision)
    assert decision.class_names == BONES
    assert decision.weights.shape == (4, 2)
    assert decision.weights.sum(axis=1).tolist() == pytest.approx([1] * 4)
    assert [path.resolve() for path in decision.members] == [trained_run.val, second_run.val]
    assert (decision.scores["images"], decision.scores["people"]) == (4, 2)


def test_what_is_said(weighed):
    lines = weighed.out.splitlines()
    assert lines[-1] == str(weighed.decision)
    gain, verdict = lines[-2].split(": ", 1)
    assert re.fullmatch(r"gain on people left out [+-]\d\.\d{4} \+- \d\.\d{4}", gain)
    assert verdict in ("kept", "refused: uniform weights stay")
    assert re.fullmatch(
        r"mean Dice: uniform 0\.\d{4}, in-sample 0\.\d{4}, cross-fitted 0\.\d{4}", lines[-3]
    )


def test_the_score_is_that_of_the_masks(weighed):
    """What choosing reports is what the decision's own masks score."""
    scores = document.load(weighed.decision).scores
    done = hb("evaluate", weighed.decision, "--json")
    assert done.code == 0, done.err
    low = min(scores["uniform"], scores["in_sample"])
    assert low - 1e-9 <= json.loads(done.out)["mean_dice"] <= scores["in_sample"] + 1e-9


def test_one_set_of_weights_for_all_bones(trained_run, second_run, tmp_path):
    path = tmp_path / "e.toml"
    done = hb("ensemble", "optimize", trained_run.val, second_run.val, "-o", path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    headings = "bone       val   val   in-sample  left out  +-      optimism  verdict"
    assert lines[0] == headings
    assert [line.split()[0] for line in lines[1:6]] == [*BONES, "all"]
    assert (document.load(path).weights == document.load(path).weights[0]).all()


def test_on_other_stores(weighed, trained_run, second_run, tmp_path):
    on = ("--on", trained_run.test, "--on", second_run.test)
    path = tmp_path / "submission.csv"
    done = hb("submit", weighed.decision, *on, "-o", path)
    assert (done.code, done.out) == (0, f"{path}: 8 rows of 2 images, read back and equal\n")
    by_store = json.loads(hb("evaluate", weighed.decision, *on, "--json").out)
    by_csv = hb("evaluate", path, "--labels", trained_run.data.recipe, "--json")
    assert json.loads(by_csv.out) == by_store


def test_tta_sets_of_one_run_are_members(trained_run, tmp_path):
    """Stores of the same weights: the engine chooses between them, `hb predict` cannot."""
    mirrored, path = tmp_path / "mirrored", tmp_path / "tta.toml"
    assert hb("predict", trained_run.run, "-i", "val", "-o", mirrored, "--tta", "hflip").code == 0
    done = hb("ensemble", "optimize", trained_run.val, mirrored, "--per-class", "-o", path)
    assert done.code == 0, done.err
    decision = document.load(path)
    assert [store.resolve() for store in decision.members] == [trained_run.val, mirrored]
    assert hb("submit", path, "-o", tmp_path / "s.csv").code == 0
    summed = hb("predict", trained_run.run, "--weights", path, "-i", "val", "-o", tmp_path / "s")
    assert summed.code == 1
    assert "were predicted with the same weights, which a run brings but once" in summed.err


def test_images_that_were_trained_on_prove_nothing(trained_run, second_run, tmp_path):
    stores = [tmp_path / "a", tmp_path / "b"]
    for run, store in zip((trained_run.run, second_run.run), stores, strict=True):
        assert hb("predict", run, "-i", "train", "-o", store).code == 0
    command = ("ensemble", "optimize", *stores, "-o", tmp_path / "e.toml")
    refused = hb(*command)
    assert refused.code == 1
    assert "was trained on the people of 8 of these images" in refused.err
    assert not (tmp_path / "e.toml").exists()
    assert hb(*command, "--allow-seen").code == 0
    assert document.load(tmp_path / "e.toml").search["allow_seen"] is True


@pytest.mark.slow  # 5 s: two trainings, four predictions, everything after
def test_the_whole_job_and_again(tiny_data, tmp_path):
    train = {"epochs": 1, "patches_per_image": 8}
    for name in ("a", "b"):
        text = tiny_recipe(
            tiny_data.root, name=name, optimizer={"weight_decay": ord(name)}, train=train
        )
        (tmp_path / f"{name}.toml").write_text(text)
    recipe, work = tmp_path / "both.toml", tmp_path / "work"
    recipe.write_text('name = "both"\nmembers = ["a.toml", "b.toml"]\nper_class = false\n')
    assert hb("recipes", "validate", recipe).out == f"{recipe}: valid\n"
    job = ("ensemble", "run", recipe, "--tta", "scale:factor=0.5", "-o", work)
    lr = ("--set", "optimizer.lr=0.03")
    done = hb(*job, *lr)
    assert done.code == 0, done.err
    commands = [line for line in done.out.splitlines() if line.startswith("$ hb ")]
    assert [line.split()[2] for line in commands] == [
        "train", "predict", "predict", "evaluate",
        "train", "predict", "predict", "evaluate",
        "ensemble", "submit", "visualize",
    ]  # fmt: skip
    assert commands[0] == (
        f"$ hb train {tmp_path / 'a.toml'} --set optimizer.lr=0.03 -o {work}/runs/a"
    )
    assert "--tta scale:factor=0.5" in commands[1]
    assert (work / "submission.csv").read_text().count("\n") == 9
    assert (work / "pictures" / "contact_sheet.png").exists()
    before = (work / "runs" / "a" / "best.safetensors").stat().st_mtime_ns
    again = hb(*job, *lr)
    assert again.code == 0, again.err
    assert f"{work}/runs/a: trained already\n" in again.out
    for other, said in (
        ((), "optimizer.lr (0.03 then, 0.02 now)"),
        ((*lr, "--set", "train.epochs=2"), "train.epochs (1 then, 2 now)"),
        ((*lr, "--set", "model.norm=batch"), "model.norm (instance then, batch now)"),
    ):
        refused = hb(*job, *other)
        assert (refused.code, refused.out) == (1, "")
        assert refused.err == (
            f"hb: {work}/runs/a: was trained with another recipe: {said}; choose another -o.\n"
        )
    assert hb(*job, *lr, "--set", "model.norm=instance").code == 0  # which is the default
    assert (work / "runs" / "a" / "best.safetensors").stat().st_mtime_ns == before


def test_a_run_of_another_recipe_is_found_before_anything_is_trained(
    trained_run, tiny_data, tmp_path
):
    """The second member's run is a changed one; the first must not be trained for nothing."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.toml").write_text(tiny_recipe(tiny_data.root, name=name))
    (tmp_path / "both.toml").write_text('name = "both"\nmembers = ["a.toml", "b.toml"]\n')
    shutil.copytree(trained_run.run, tmp_path / "work" / "runs" / "b")
    done = hb("ensemble", "run", tmp_path / "both.toml", "-o", tmp_path / "work")
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        f"hb: {tmp_path}/work/runs/b: was trained with another recipe: name (tiny then, b now); "
        "choose another -o.\n"
    )
    assert not (tmp_path / "work" / "runs" / "a").exists()
