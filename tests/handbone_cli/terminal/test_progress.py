from __future__ import annotations

import io
import re
import sys

from handbone_cli.terminal import progress as module
from handbone_cli.terminal.progress import progress, say


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_where_nobody_watches(capsys, monkeypatch):
    with progress("Predicting") as report:
        report(1, 3)
        monkeypatch.setattr(module, "PLAIN_EVERY", 0.0)
        report(2, 3, "Dice 0.97")
        report(3, 3)
    say("done")
    said = re.sub(r"\S+ images/s", "N images/s", capsys.readouterr().err)
    lines = re.sub(r"\d+(\.\d)? s", "N s", said).splitlines()
    assert lines == [
        "Predicting: 2/3 images, N images/s, N s left, Dice 0.97",
        "Predicting: 3/3 images in N s",
        "done",
    ]


def test_what_was_there_before_does_not_count_for_the_pace(capsys, monkeypatch):
    """Of 100 images 90 were done in an earlier run; three more have taken 6 s."""
    clock = iter([0.0, 0.0, 0.0, 2.0, 4.0, 6.0])
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(module, "PLAIN_EVERY", 5.0)
    with progress("Predicting") as report:
        report(91, 100)
        report(92, 100)
        report(93, 100)
    assert capsys.readouterr().err == "Predicting: 93/100 images, 0.5 images/s, 14 s left\n"


def test_a_bar_in_a_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    with progress("Drawing", "hands") as report:
        report(3, 4, "Dice 0.97")
        report(4, 4, "Dice 0.98")
    assert "Drawing" in screen.getvalue()
    assert "4/4" in screen.getvalue()
    assert "hands/s" in screen.getvalue()
