from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree as ET

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.results.curves import CurvesFile, draw_curves, is_curves

SVG = "{http://www.w3.org/2000/svg}"


def epochs(count, every=1):
    told = []
    for number in range(1, count + 1):
        values = {"epoch": number, "loss": 1 / number, "lr": 1e-3 / number, "seconds": 3.0}
        if every and number % every == 0:
            dice = {f"bone{place}": 1 - place / 10 - 1 / (number + 1) for place in range(8)}
            values |= {"dice": dice, "mean_dice": sum(dice.values()) / 8}
        told.append(values)
    return told


def words(text):
    return [each.text for each in ET.fromstring(text).iter(f"{SVG}text")]


def paths(text, look):
    """Path data of what has a CSS class."""
    found = ET.fromstring(text).iter(f"{SVG}path")
    return [each.get("d") for each in found if look in each.get("class").split()]


def points(data):
    return re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", data)


def test_every_value_is_a_point_of_its_curve():
    text = draw_curves(epochs(20), "runs/a")
    assert words(text)[0] == "runs/a: 20 epochs"
    loss, mean, name, rate = paths(text, "mean")
    assert len(points(loss)) == len(points(mean)) == len(points(rate)) == 20
    assert len(points(name)) == 1  # beside the word mean
    heights = [float(y) for _, y in points(loss)]
    assert heights == sorted(heights)  # a loss that falls, drawn downwards
    assert {"loss", "Dice of people left out", "learning rate"} <= set(words(text))


def test_the_worst_bones_of_the_last_validation_are_named_worst_first():
    text = draw_curves(epochs(20), "a")
    named = [word for word in words(text) if word.startswith(("bone", "mean"))]
    last = 1 / 21
    shown = [f"bone{place} {1 - place / 10 - last:.3f}" for place in (7, 6, 5, 4, 3)]
    assert named == [f"mean {1 - 0.35 - last:.3f}", *shown]
    assert "best mean 0.6024, epoch 20" in words(text)


def test_one_epoch_is_a_dot_and_three_have_whole_ticks():
    one = draw_curves(epochs(1), "a")
    assert words(one)[0] == "a: 1 epoch"
    assert len(paths(one, "dot")) == 8  # loss, lr, mean and five bones
    three = draw_curves(epochs(3), "a")
    assert paths(three, "dot") == []
    ticks = [e.text for e in ET.fromstring(three).iter(f"{SVG}text") if e.get("y") == "246"]
    assert ticks[:3] == ["1", "2", "3"]


@pytest.mark.parametrize("gone", [None, math.nan, math.inf])
def test_a_loss_that_is_none_is_a_gap(gone):
    told = epochs(10)
    told[4]["loss"] = gone
    (loss,) = [d for d in paths(draw_curves(told, "a"), "mean") if len(points(d)) == 9]
    assert loss.count("M") == 2


def test_validations_are_joined_over_the_epochs_between():
    told = epochs(20, every=5)
    mean = [d for d in paths(draw_curves(told, "a"), "mean") if len(points(d)) == 4]
    assert [d.count("M") for d in mean] == [1]


def test_what_there_is_not_has_no_chart():
    told = [{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.4}]
    text = draw_curves(told, "a")
    assert "loss" in words(text)
    assert not {"learning rate", "Dice of people left out"} & set(words(text))
    empty = draw_curves([{"epoch": 1, "loss": None}], "a")
    assert words(empty) == ["a: 1 epoch"]
    with pytest.raises(ValueError, match="no epoch"):
        draw_curves([], "a")


def test_epochs_that_come_again_count_as_they_were_last():
    told = [*epochs(9), {"epoch": 4, "loss": 5.0}, {"epoch": 5, "loss": 4.0}]
    text = draw_curves(told, "a")
    assert words(text)[0] == "a: 5 epochs"
    assert [len(points(d)) for d in paths(text, "mean")] == [5, 3, 1, 3]


def test_a_loss_below_zero_and_one_over_many_decades():
    below = draw_curves([{"epoch": 1, "loss": -3.0}, {"epoch": 2, "loss": 40.0}], "a")
    assert "-0" not in words(below)
    assert "10" in words(below)
    many = draw_curves([{"epoch": n, "loss": 10.0**-n} for n in range(5)], "a")
    (loss,) = paths(many, "mean")
    heights = [float(y) for _, y in points(loss)]
    steps = [late - early for early, late in itertools.pairwise(heights)]
    assert steps == pytest.approx([steps[0]] * 4, abs=0.2)  # a straight line


def test_names_are_escaped_and_shortened():
    told = [{"epoch": 1, "loss": 1.0, "mean_dice": 0.5, "dice": {"<Großzehe> & " + 30 * "x": 0.5}}]
    text = draw_curves(told, "<a> & b")
    assert words(text)[0] == "<a> & b: 1 epoch"
    assert any(word.startswith("<Großzehe> & ") and "…" in word for word in words(text))


def test_the_file_of_a_run_is_whole_after_every_epoch_and_goes_on(tmp_path):
    path = tmp_path / "curves.svg"
    file = CurvesFile(path, "a", epochs(3))
    assert not path.exists()
    file.log("end", {})
    assert not path.exists()
    file.log("epoch", {"epoch": 4, "loss": 0.2})
    file.close()
    assert words(path.read_text())[0] == "a: 4 epochs"
    assert is_curves(path.read_bytes())
    assert not is_curves(b"<svg></svg>")


def test_a_file_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(HandboneError, match="run"):
        CurvesFile(tmp_path / "run" / "curves.svg", "a").log("epoch", {"epoch": 1, "loss": 1.0})
