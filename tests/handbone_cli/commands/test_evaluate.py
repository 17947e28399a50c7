from __future__ import annotations

import csv
import json
import re

import pytest

from handbone_cli.testing import BONES, hb


@pytest.fixture(scope="module")
def summary(trained_run):
    done = hb("evaluate", trained_run.val, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_the_table(trained_run, summary):
    done = hb("evaluate", trained_run.val)
    lines = done.out.splitlines()
    assert lines[0] == "val"
    assert lines[1].split() == ["bone", "mean", "Dice", "lowest"]
    ordered = sorted(BONES, key=lambda bone: summary["per_class"][bone])
    assert [line.split()[0] for line in lines[2:6]] == ordered
    assert lines[2].split()[1] == f"{summary['per_class'][ordered[0]]:.4f}"
    assert re.fullmatch(
        rf"mean Dice {summary['mean_dice']:.4f} \+- 0\.\d{{4}} \(standard error over 2 people\), "
        "4 images",
        lines[6],
    )
    assert len(lines) == 7


def test_the_run_and_its_store_agree(trained_run, summary):
    """Validation in training is what prediction gives: windows, no TTA, one half."""
    facts = json.loads((trained_run.run / "run.json").read_text())
    assert summary["mean_dice"] == pytest.approx(facts["best_dice"], abs=1e-9)
    assert (summary["images"], summary["people"]) == (4, 2)


def test_small_bones_and_overlaps(overlapping_run):
    """These labels and those trained on have the same groups, so the run said the same figures."""
    (logged,) = [json.loads(line) for line in (overlapping_run.run / "metrics.jsonl").open()]
    said = json.loads(hb("evaluate", overlapping_run.val, "--json").out)
    assert said["small_bones"] == logged["small_bones"]
    assert said["overlap_pairs"] == logged["overlap_pairs"]
    lines = hb("evaluate", overlapping_run.val).out.splitlines()
    overlap, both = said["overlap_pairs"]["Radius+Ulna"], said["per_class"]
    assert lines[6].split() == ["overlap", "its", "Dice", "both", "bones"]
    mean = (both["Radius"] + both["Ulna"]) / 2
    assert lines[7].split() == ["Radius+Ulna", f"{overlap:.4f}", f"{mean:.4f}"]
    assert lines[8] == f"small bones {said['small_bones']:.4f} (finger-1)"
    assert lines[9].startswith("mean Dice ")
    assert len(lines) == 10


def test_where_there_are_no_groups_nothing_is_said_of_them(summary):
    assert not {"small_bones", "overlap_pairs"} & summary.keys()


def test_the_csv_of_every_image_and_bone(trained_run, summary, tmp_path):
    done = hb("evaluate", trained_run.val, "--csv", tmp_path / "dice.csv", "--json")
    assert done.code == 0
    rows = list(csv.DictReader((tmp_path / "dice.csv").open()))
    assert [row["image_id"] for row in rows] == list(summary["per_image"])
    mean = sum(float(row["mean"]) for row in rows) / 4
    assert mean == pytest.approx(summary["mean_dice"], abs=1e-5)


def test_labels_can_be_named(trained_run, summary, tmp_path):
    named = hb("evaluate", trained_run.val, "--labels", trained_run.data.recipe, "--json")
    assert json.loads(named.out) == summary


def test_a_submission_scores_like_the_store_it_is_from(trained_run, tmp_path):
    path = tmp_path / "submission.csv"
    assert hb("submit", trained_run.test, "-o", path).code == 0
    store = json.loads(hb("evaluate", trained_run.test, "--json").out)
    done = hb("evaluate", path, "--labels", trained_run.data.recipe, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == store
    against_itself = hb("evaluate", trained_run.test, "--labels", path, "--json")
    assert json.loads(against_itself.out)["mean_dice"] == 1


def test_again_replaces_its_own_csv(trained_run, tmp_path):
    command = ("evaluate", trained_run.val, "--csv", tmp_path / "dice.csv")
    assert [hb(*command).code for _ in range(2)] == [0, 0]


def test_where_nothing_overlaps_no_bone_is_called_worst(trained_run, tmp_path):
    """Masks of one corner pixel, where no hand has a bone."""
    path = tmp_path / "corner.csv"
    rows = [f"{image}.png,{bone},1 1" for image in ("image0012", "image0013") for bone in BONES]
    path.write_text("\n".join(["image_name,class,rle", *rows, ""]))
    lines = hb("evaluate", path, "--labels", trained_run.data.recipe).out.splitlines()
    assert [line.split() for line in lines[2:6]] == [[bone, "0.0000", "0.0000"] for bone in BONES]
    assert lines[6] == "no bone of any image overlaps its label: none is worse than another"
    assert lines[7].startswith("mean Dice 0.0000")
