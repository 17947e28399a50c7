from __future__ import annotations

import io
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from handbone_cli.terminal import training_table as module
from handbone_cli.terminal.training_table import TrainingTable

VALUES = {"epoch": 1, "loss": 0.25, "seconds": 2.0}


GROUPS = {"small_bones": 0.4, "overlap_pairs": {"Ulna+Lunate": 0.7, "Radius+Ulna": 0.25}}


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def screen(monkeypatch):
    """What a terminal of a size shows in the end, line by line."""

    def of(table, watch, columns=80, lines=24):
        written = Terminal()
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setenv("LINES", str(lines))
        with monkeypatch.context() as patched:
            patched.setattr(sys, "stderr", written)
            with table as observer:
                watch(observer)
        text = written.getvalue()
        last = text[text.rindex("first") :]
        return [
            line.rstrip() for line in re.sub(r"\x1b\[[^A-Za-z]*[A-Za-z]", "", last).splitlines()
        ]

    return of


def watch_long(observer):
    """Twelve epochs; every line that a screen can have."""
    for number in range(12):
        observer.step(SimpleNamespace(epoch=number, step=4), 4, 0.5, 2)
        observer.waited(0.126)
        observer.epoch({**VALUES, **GROUPS, "epoch": number + 1}, np.linspace(0.9, 0.1, 6))
    observer.step(SimpleNamespace(epoch=12, step=4), 4, 0.5, 2)
    observer.validating(7)


LONG = ["Radius", "Ulna", "Lunate", "Hamate", "the_thumb_of_the_other_hand_with_a_ring", "Pisiform"]
MEMORY = "GPU 12.3 of 139.8 GiB, tensors at most 11.0"


def long_table():
    return TrainingTable("first", LONG, 100, lambda: MEMORY)


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
    assert lines[0] == "epoch 1/3  step 1/4  loss 0.5000  ? left"
    assert re.fullmatch(r"epoch 1/3  step 2/4  loss 0.5000  N images/s  [\d:]+ left", lines[1])
    assert lines[2].endswith("left  validating 3")
    assert (
        lines[3]
        == "epoch 1/3  loss 0.2500  2.0 s  mean Dice 0.5000  worst Ulna 0.100  Radius 0.900"
    )
    assert lines[4].rstrip() == "epoch 2/3  loss   2.0 s"


def test_plain_lines_with_all_there_is(capsys, monkeypatch):
    monkeypatch.setattr(module, "PLAIN_EVERY", -1.0)
    with TrainingTable("first", ["Radius", "Ulna", "Lunate"], 3, lambda: MEMORY) as observer:
        observer.waited(0.126)
        observer.step(SimpleNamespace(epoch=0, step=1), 4, 0.5, 2)
        observer.validating(1)
        observer.epoch({**VALUES, **GROUPS}, np.array([0.9, 0.1, 0.5]))
        observer.note("[look]")
    step, validating, epoch, note = capsys.readouterr().err.splitlines()
    assert step == f"epoch 1/3  step 1/4  loss 0.5000  ? left  loader 13 %  {MEMORY}"
    assert validating == step.replace("  loader", "  validating 1  loader")
    assert epoch == (
        "epoch 1/3  loss 0.2500  2.0 s  mean Dice 0.5000  small bones 0.4000  overlaps 0.4750  "
        "worst Ulna 0.100  Lunate 0.500  Radius 0.900"
    )
    assert note == "[look]"


def test_memory_is_asked_for_once_a_second(monkeypatch):
    clock, asked = SimpleNamespace(now=5.0), []
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    table = TrainingTable("first", ["Radius"], 3, lambda: asked.append(clock.now) or "")
    for _ in range(10):
        clock.now += 0.3
        table.step(SimpleNamespace(epoch=0, step=1), 4, 0.5, 2)
    assert asked == pytest.approx([5.3, 6.5, 7.7])


def test_a_live_screen(screen):
    lines = screen(TrainingTable("first", ["Radius", "Ulna"], 3), run)
    assert lines[0] == "first"
    assert lines[1].split() == ["epoch", "loss", "mean", "Dice", "seconds"]
    assert lines[3].split() == ["1", "0.2500", "0.5000", "2.0"]
    assert lines[4].split() == ["2", "2.0"]
    assert lines[5].startswith("epoch 1/3  step 2/4  loss 0.5000  ")
    assert [line.split() for line in lines[-2:]] == [["Ulna", "0.100"], ["Radius", "0.900"]]


def test_a_screen_of_80_by_24_has_all(screen):
    lines = screen(long_table(), watch_long)
    assert len(lines) < 24
    assert max(map(len, lines)) <= 80
    assert lines[1] == "epoch   loss     mean Dice   small bones   overlaps   seconds"
    assert lines[3] == "5       0.2500   0.5000      0.4000        0.4750     2.0"
    assert lines[10].startswith("12 ")
    assert lines[11].startswith("epoch 13/100  step 4/4  loss 0.5000  ")
    assert lines[11].endswith(" left  validating 7")
    assert lines[12] == f"loader 13 %  {MEMORY}"
    assert re.split("  +", lines[13]) == ["worst bones", "Dice", "worst overlaps", "Dice"]
    assert re.split("  +", lines[15]) == ["Pisiform", "0.100", "Radius+Ulna", "0.250"]
    assert re.split("  +", lines[16]) == [LONG[4], "0.260", "Ulna+Lunate", "0.700"]
    assert len(lines) == 20


@pytest.mark.parametrize(("columns", "lines"), [(44, 24), (60, 18), (120, 40)])
def test_figures_stand_on_screens_of_any_size(screen, columns, lines):
    shown = screen(long_table(), watch_long, columns, lines)
    assert len(shown) <= lines
    assert max(map(len, shown)) <= columns
    text = "\n".join(shown)
    assert "0.5000" in text
    assert MEMORY in text
    for figure in ("0.100", "0.260", "0.740", "0.250", "0.700"):
        assert figure in text
    assert (LONG[4] in text) == (columns == 120)
    assert ("seconds" in text) == (columns > 60)
    assert "…" not in "".join(shown[1:4])


def test_where_all_bones_are_alike_the_screen_says_it_once(screen):
    def watch(observer):
        observer.epoch(VALUES, np.zeros(2))

    assert screen(TrainingTable("first", ["Radius", "Ulna"], 3), watch)[-1].split() == [
        "every", "bone", "0.000",
    ]  # fmt: skip


def test_names_with_brackets_are_no_markup(screen):
    def watch(observer):
        observer.epoch({**VALUES, "overlap_pairs": {"a[left]+b": 0.5}}, np.array([0.9, 0.1]))

    row = screen(TrainingTable("first", ["a[left]", "b"], 3), watch)[-1]
    assert row.split() == ["a[left]", "0.900"]
    assert "a[left]+b" in screen(TrainingTable("first", ["a[left]", "b"], 3), watch)[-2]


def test_before_the_first_epoch_there_are_two_lines(screen):
    def watch(observer):
        observer.step(SimpleNamespace(epoch=0, step=1), 4, 0.5, 2)

    table = TrainingTable("first_of_many", ["Radius"], 3)
    assert screen(table, watch) == ["first_of_many", "epoch 1/3  step 1/4  loss 0.5000  ? left"]


def test_a_note_stands_above_the_screen_as_it_is(monkeypatch):
    monkeypatch.setattr(sys, "stderr", written := Terminal())
    with TrainingTable("first", ["Radius"], 3) as observer:
        observer.note("quarantined: a[0].png: cut off; [bold]")
    assert "quarantined: a[0].png: cut off; [bold]" in written.getvalue()


def test_where_all_bones_are_alike_none_is_the_worst(capsys):
    table = TrainingTable("first", ["Radius", "Ulna"], 3)
    table.epoch(VALUES, np.zeros(2))
    table.epoch(VALUES, np.array([0.0, 0.1]))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith("  mean Dice 0.0000  every bone 0.000")
    assert lines[1].endswith("  mean Dice 0.0500  worst Radius 0.000  Ulna 0.100")
