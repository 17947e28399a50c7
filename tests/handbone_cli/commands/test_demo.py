from __future__ import annotations

import pytest

from handbone_cli.commands import demo
from handbone_cli.testing import hb


@pytest.mark.slow  # 20 s: the whole job on 11 people, one epoch a model
def test_the_whole_job(tmp_path, monkeypatch):
    sets = ("train.epochs=1", "train.val_every=1")
    monkeypatch.setattr(demo, "FAST", {"people": 10, "test_people": 1, "sets": sets})
    done = hb("demo", "--fast", "-o", tmp_path / "demo")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    commands = [line.split()[2] for line in lines if line.startswith("$ hb ")]
    member = ["train", "predict", "predict", "evaluate"]
    assert commands == ["data", *member, *member, "ensemble", "submit", "visualize"]
    table = lines[lines.index("hb demo") :]
    assert [line.split()[0] for line in table[2:5]] == ["quickstart", "quickstart_unet", "ensemble"]
    assert (tmp_path / "demo" / "submission.csv").exists()
