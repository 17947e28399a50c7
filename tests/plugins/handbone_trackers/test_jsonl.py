from __future__ import annotations

import json

import pytest

from handbone_cli import HandboneError, TrackerContext
from handbone_trackers.jsonl import build


def tracker(folder):
    return build(None, TrackerContext(folder, "nnunet"))


def test_one_object_a_line_readable_at_once_and_after_resuming(tmp_path):
    first = tracker(tmp_path / "run")
    first.log("epoch", {"epoch": 1, "loss": 0.5, "dice": [0.9, 0.8], "bone": "Großzehe"})
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines == [
        '{"event": "epoch", "epoch": 1, "loss": 0.5, "dice": [0.9, 0.8], "bone": "Großzehe"}'
    ]
    first.close()
    first.close()
    tracker(tmp_path / "run").log("end", {})
    lines = (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["epoch", "end"]


def test_numbers_that_json_does_not_have_become_null(tmp_path):
    tracker(tmp_path).log("epoch", {"loss": float("nan"), "dice": {"radius": [float("inf"), 1.0]}})
    line = (tmp_path / "metrics.jsonl").read_text()
    assert line == '{"event": "epoch", "loss": null, "dice": {"radius": [null, 1.0]}}\n'


def test_a_run_directory_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(HandboneError, match="run: cannot write there"):
        tracker(tmp_path / "run")
