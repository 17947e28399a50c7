from __future__ import annotations

import io
import sys

from handbone_cli.terminal.tables import show_table


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_aligned_text_in_a_pipe(capsys):
    show_table(("bone", "Dice"), [("Radius", 0.5), ("Ulna, left", "")], title="first")
    assert capsys.readouterr().out == ("first\nbone        Dice\nRadius      0.5\nUlna, left\n")


def test_headings_alone(capsys):
    show_table(("a", "b"), [])
    assert capsys.readouterr().out == "a  b\n"


def test_a_table_in_a_terminal(monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    show_table(("bone", "Dice"), [("Radius", 0.5)], title="first")
    assert all(word in screen.getvalue() for word in ("first", "bone", "Radius", "0.5"))
