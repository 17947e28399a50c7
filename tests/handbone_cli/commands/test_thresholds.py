from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from handbone_cli.decision import document
from handbone_cli.testing import BONES, hb


def test_thresholds_of_one_store(trained_run, tmp_path):
    path = tmp_path / "t.toml"
    done = hb("thresholds", "optimize", trained_run.val, "-o", path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0] == "bone       threshold  in-sample  left out  +-      optimism  verdict"
    assert [line.split()[0] for line in lines[1:6]] == [*BONES, "all"]
    assert lines[6].startswith("mean Dice: at one half 0.")
    assert re.fullmatch(
        r"gain on people left out [+-]\d\.\d{4} \+- \d\.\d{4}: (kept|refused: one half stays)",
        lines[7],
    )
    assert lines[8] == str(path)
    decision = document.load(path)
    assert decision.weights.tolist() == [[1.0]] * 4
    assert decision.search["thresholds"] == "after"
    assert decision.search["method"] == "uniform"


def test_all_in_is_said_and_its_score_is_that_of_the_masks(trained_run, tmp_path):
    path, picture = tmp_path / "t.toml", tmp_path / "gains.svg"
    command = ("thresholds", "optimize", trained_run.val, "--all-in", "--range", "0.1", "0.9")
    done = hb(*command, "--picture", picture, "-o", path)
    assert done.code == 0, done.err
    assert "--all-in takes the in-sample choice as it is; on people left out it gained" in done.out
    assert done.out.endswith(f"{picture}\n{path}\n")
    assert "# --all-in: " in path.read_text()
    decision = document.load(path)
    assert (decision.thresholds != 0.5).any()
    evaluated = json.loads(hb("evaluate", path, "--json").out)
    assert evaluated["mean_dice"] == pytest.approx(decision.scores["in_sample"], abs=1e-9)
    for name, dice in evaluated["per_class"].items():
        before = json.loads(hb("evaluate", trained_run.val, "--json").out)["per_class"][name]
        gain = decision.scores["bones"][name]["in_sample_gain"]
        assert dice - before == pytest.approx(gain, abs=1e-9)


def test_the_mean_of_several_stores(trained_run, second_run, tmp_path):
    path = tmp_path / "t.toml"
    done = hb("thresholds", "optimize", trained_run.val, second_run.val, "-o", path)
    assert done.code == 0, done.err
    assert document.load(path).weights.tolist() == [[0.5, 0.5]] * 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--range", "0.6", "0.8", "-o", "t.toml"), "thresholds from 0.6 to 0.8: expected a range"),
        (("-o", "t.txt"), "t.txt: a decision is a .toml file; give -o such a name."),
        (("--picture", "a.png", "-o", "t.toml"), "a.png: the picture is an .svg file; give it"),
        (("--picture", "a.svg", "-o", "t.toml"), "a.svg: is there already and is not a picture of"),
        (("-o", "foreign.toml"), "foreign.toml: is there already and is not a decision that hb"),
    ],
)
def test_mistakes_are_found_before_the_work(trained_run, tmp_path, words, said):
    (tmp_path / "a.svg").write_text("<svg/>")
    (tmp_path / "foreign.toml").write_text("a = 1\n")
    done = hb("thresholds", "optimize", trained_run.val, *words, cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"hb: {said}")
    assert not Path(tmp_path / "t.toml").exists()


@pytest.mark.slow  # 8 s: processes start
def test_processes_find_what_one_finds(trained_run, second_run, tmp_path, monkeypatch):
    texts = []
    for workers in ("1", "2"):
        monkeypatch.setenv("HANDBONE_CACHE", str(tmp_path / f"cache{workers}"))
        path = tmp_path / "e.toml"
        done = hb(
            "ensemble", "optimize", trained_run.val, second_run.val, "--per-class",
            "--thresholds", "joint", "--all-in", "--workers", workers, "-o", path,
        )  # fmt: skip
        assert done.code == 0, done.err
        texts.append(path.read_text())
    assert texts[0] == texts[1]
