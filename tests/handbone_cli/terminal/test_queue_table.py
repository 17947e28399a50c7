from __future__ import annotations

import io

from handbone_cli.terminal.queue_table import HEADINGS, QueueTable, fitting, shortened


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


def test_the_reason_takes_what_the_other_columns_leave():
    rows = [
        ("a_training_with_a_long_name", "waiting", "-", "-", "0/4", "-", "-", "w" * 60),
        ("b", "running", "1", "0", "1/4", "0.9123", "1:20", ""),
    ]
    whole, narrow = shortened(rows, 200), shortened(rows, 100)
    assert whole == [list(row) for row in rows]
    assert [row[:-1] for row in narrow] == [list(row[:-1]) for row in rows]
    assert narrow[0][-1].endswith("…")
    widths = [max(map(len, column)) for column in zip(HEADINGS, *narrow, strict=True)]
    assert sum(widths) + 3 * len(HEADINGS) + 1 == 100
    assert shortened(rows, 20)[0][-1] == "ww…"
