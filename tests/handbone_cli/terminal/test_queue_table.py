from __future__ import annotations

import io

from handbone_cli.terminal.queue_table import QueueTable, fitting


def row(job, state="waiting", attempt="-", gpu="-", dice="-", took="-", why=""):
    return (job, state, attempt, gpu, "-", dice, took, why)


class Screen(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_tell_changes_only():
    file = io.StringIO()
    with QueueTable.on(file) as table:
        table.show([row("a", why="for a free slot"), row("b", "running", "1", "4,7")], "")
        table.show([row("a", why="later"), row("b", "running", "1", "4,7", took="0:02")], "")
        table.show([row("a"), row("b", "running", "2", "4")], "")
        table.say("a word")
        last = row("b", "finished", "2", "-", "0.97", "1:20")
        table.show([row("a", "failed", "1", why="x"), last], "")
    assert file.getvalue().splitlines() == [
        "b: running, GPU 4,7",
        "b: running, attempt 2, GPU 4",
        "a word",
        "a: failed: x",
        "b: finished, attempt 2, mean Dice 0.97, took 1:20",
    ]


def test_a_screen_shows_the_table(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "30")
    file = Screen()
    with QueueTable.on(file) as table:
        table.show([row("[red]a", "running", "1")], "q: 1 running")
        assert not table.is_due
    shown = file.getvalue()
    assert "[red]a" in shown
    assert "mean Dice" in shown
    assert "q: 1 running" in shown


def test_where_not_all_fit_finished_ones_go_first_then_the_last_that_wait():
    rows = [row("a", "finished"), row("b", "failed"), row("c"), row("d", "running"), row("e")]
    assert [each[0] for each in fitting(rows, 5)] == ["a", "b", "c", "d", "e"]
    assert [each[0] for each in fitting(rows, 4)] == ["b", "c", "d", "e"]
    assert [each[0] for each in fitting(rows, 3)] == ["b", "c", "d"]
    assert [each[0] for each in fitting(rows, 1)] == ["b"]
