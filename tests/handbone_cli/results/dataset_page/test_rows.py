from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from handbone_cli.results.dataset_page.rows import (
    GAP,
    NARROW,
    ROW,
    Estimate,
    Rows,
    box_plots,
    estimates,
)


def words(svg):
    return [element.text for element in ET.fromstring(svg).iter("text")]


def test_fingers_stand_apart_and_are_named():
    rows = Rows(["finger-1", "finger-2", "finger-4", "Radius"])
    assert np.diff(rows.middles).tolist() == [ROW, ROW + GAP, ROW + GAP]
    found = ET.fromstring(f"<g>{rows.labels()}</g>")
    assert [e.text for e in found] == [
        *("finger-1", "thumb", "finger-2", "finger-4", "index", "Radius", "forearm"),
    ]


def test_other_names_have_no_groups():
    rows = Rows(["femur", "tibia"])
    assert np.diff(rows.middles).tolist() == [ROW]
    assert rows.left < Rows(["finger", "Radius"]).left
    assert "thumb" not in rows.labels()


def test_a_box_has_quartiles_whiskers_and_what_lies_beyond():
    values = np.array([10.0, 11, 12, 13, 14, 40])
    svg = box_plots(["a"], [values], ["#123456"], "px", lambda place: f"told {place}")
    root = ET.fromstring(svg)
    assert root.find(".//g/title").text == "told 0"
    box = root.find(".//rect")
    assert box.get("style") == "fill:#123456"
    lines = {e.get("class"): e.get("d") for e in root.iter("path") if e.get("class") != "grid"}
    xs = {kind: [float(p.split()[0]) for p in d[1:].split("L")] for kind, d in lines.items()}
    left, right = float(box.get("x")), float(box.get("x")) + float(box.get("width"))
    assert left < xs["median"][0] < right
    assert xs["whisker"][0] == pytest.approx(right, abs=0.02)
    assert lines["beyond"].count("h0") == 1
    assert xs["beyond"][0] > xs["whisker"][1]


def test_a_row_without_values_keeps_its_name_alone():
    svg = box_plots(["a", "b"], [np.array([1.0, 2]), np.zeros(0)], ["red", "blue"], "px", str)
    assert words(svg)[-2:] == ["a", "b"]
    assert svg.count("<rect") == 1


def test_estimates_show_intervals_around_the_neutral_line():
    found = {
        "a": Estimate(0.5, 0.2, 0.7, certain=True, words="a: r 0.5"),
        "b": Estimate(0.1, -0.4, 0.5, certain=False, words="b<>"),
    }
    root = ET.fromstring(estimates(found, "r", neutral=0.0))
    kinds = [e.get("class") for e in root.iter("circle")]
    assert kinds == ["estimate certain", "estimate open"]
    assert [e.text for e in root.iter("title")] == ["a: r 0.5", "b<>"]
    neutral = next(e.get("d") for e in root.iter("path") if e.get("class") == "neutral")
    zero = float(neutral[1:].split()[0])
    places = [float(e.get("cx")) for e in root.iter("circle")]
    assert zero < places[1] < places[0] < NARROW
    open_ = next(e.get("d") for e in root.iter("path") if e.get("class") == "interval open")
    assert float(open_[1:].split()[0]) < zero
