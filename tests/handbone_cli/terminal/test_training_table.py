from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import numpy as np

from handbone_cli.terminal import training_table as module
from handbone_cli.terminal.training_table import TrainingTable

VALUES = {"epoch": 1, "loss": 0.25, "seconds": 2.0}


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(table):
    with table as observer:
        observer.step(SimpleNamespace(epoch=0, step=1), 4, 0.5, 2)
        observer.step(SimpleNamespace(epoch=0, step=2), 4, 0.5, 2)
        observer.validating(3)
        observer.epoch(VALUES, np.array([0.9, 0.1]))
        observer.epoch({**VALUES, "epoch": 2, "loss": None}, None)


def test_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr(module, "PLAIN_EVERY", -1.0)
    run(TrainingTable("first", ["Radius", "Ulna"], 3))
    text = re.sub(r"[\d.]+ images/s", "N images/s", capsys.readouterr().err)
    lines = text.splitlines()
    assert lines[0] == "epoch 1/3  step 1/4  loss 0.5000    ? left"
    assert re.fullmatch(r"epoch 1/3  step 2/4  loss 0.5000  N images/s  [\d:]+ left", lines[1])
    assert lines[2].endswith("left  validating 3")
    assert (
        lines[3]
        == "epoch 1/3  loss 0.2500  2.0 s  mean Dice 0.5000  worst Ulna 0.100  Radius 0.900"
    )
    assert lines[4].rstrip() == "epoch 2/3  loss   2.0 s"


def test_a_live_screen(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    run(TrainingTable("first", ["Radius", "Ulna"], 3))
    for words in ("first", "mean Dice", "0.5000", "worst Ulna 0.100"):
        assert words in screen.getvalue()


def test_where_all_bones_are_alike_none_is_the_worst(capsys):
    table = TrainingTable("first", ["Radius", "Ulna"], 3)
    table.epoch(VALUES, np.zeros(2))
    table.epoch(VALUES, np.array([0.0, 0.1]))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("  mean Dice 0.0000  every bone 0.000")
    assert lines[1].endswith("  mean Dice 0.0500  worst Radius 0.000  Ulna 0.100")
