from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest

from handbone_cli.results.dataset_page.svg import (
    Scale,
    dots,
    number,
    padded,
    picture,
    polygon,
    short_number,
    style,
    tag,
    text,
    title,
    x_axis,
    y_axis,
)


def test_tags_escape_what_people_wrote():
    found = tag(
        "g", title("a<b>&"), text(1, 2, '<script>"'), class_='x" onload="', text_anchor="end"
    )
    element = ET.fromstring(found)
    assert element.attrib == {"class": 'x" onload="', "text-anchor": "end"}
    assert [child.text for child in element] == ["a<b>&", '<script>"']


@pytest.mark.parametrize(
    ("value", "shown"), [(0.0, "0"), (-0.001, "0"), (12.0, "12"), (3.14159, "3.14"), (-2.5, "-2.5")]
)
def test_numbers_are_short(value, shown):
    assert number(value) == shown


def test_path_data():
    points = np.array([(1.0, 2.0), (3.04, 4.0)])
    assert dots(points) == "M1.0 2.0h0M3.0 4.0h0"
    assert polygon(points) == "M1.0 2.0L3.0 4.0Z"


def test_linear_and_logarithmic_places():
    assert Scale(0, 10, 100, 200)(2.5) == 125
    assert Scale(0, 10, 200, 100)(2.5) == 175
    assert Scale(1, 100, 0, 200, logarithmic=True)(10) == pytest.approx(100)


@pytest.mark.parametrize(
    ("low", "high", "logarithmic", "ticks"),
    [
        (0, 10, False, [0, 2, 4, 6, 8, 10]),
        (-0.3, 0.3, False, [-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3]),
        (148, 191, False, [150, 160, 170, 180, 190]),
        (2.5, 80, True, [3, 5, 7, 10, 20, 30, 50, 70]),
        (0.0005, 1, True, [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1]),
        (0.0001, 100, True, [0.0001, 0.001, 0.01, 0.1, 1, 10, 100]),
        (480, 540, True, [480, 490, 500, 510, 520, 530, 540]),
    ],
)
def test_ticks_are_round(low, high, logarithmic, ticks):
    assert Scale(low, high, 0, 1, logarithmic).ticks() == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.05, "0.05"), (300.0, "300"), (20000.0, "20k"), (1.5e6, "1.5M"), (0.1 + 0.2, "0.3")],
)
def test_labels_of_ticks(value, shown):
    assert short_number(value) == shown


def test_padding_leaves_room_even_around_one_value():
    assert padded(np.array([0.0, np.nan, 100])) == pytest.approx((-6, 106))
    assert padded(np.array([10.0])) == (5, 15)
    assert padded(np.array([0.0])) == (-0.5, 0.5)


def test_axes_have_their_ticks_and_caption():
    scale = Scale(0, 4, 50, 150)
    found = ET.fromstring(tag("g", x_axis(scale, 0, 80, "x & y", " %")))
    words = [element.text for element in found.iter("text")]
    assert words == ["0 %", "1 %", "2 %", "3 %", "4 %", "x & y"]
    assert [element.get("x") for element in found.iter("text")][:2] == ["50", "75"]
    upright = ET.fromstring(tag("g", y_axis(Scale(0, 4, 150, 50), 40, 90, "share")))
    assert [element.get("y") for element in upright.iter("text")][:2] == ["154", "129"]


def test_a_picture_has_a_name_and_bounds():
    found = ET.fromstring(picture(200, 100, "<areas>", smallest=0.5))
    assert found.get("aria-label") == "<areas>"
    assert found.get("viewBox") == "0 0 200 100"
    assert found.get("style") == "max-width:230px;min-width:100px"


def test_a_style_has_every_colour_twice_and_the_charts_own_rules():
    element = ET.fromstring(style("\n.mark { fill: var(--mark) }\n", mark=("#010203", "#040506")))
    light, dark = element.text.split("@media (prefers-color-scheme: dark)")
    assert "--mark: #010203;" in light
    assert "--mark: #040506;" in dark
    dark = dark.split("}")[0]
    assert [name for name in ("ink", "muted", "grid", "paper") if f"--{name}: #" not in dark] == []
    assert element.text.rstrip().endswith(".mark { fill: var(--mark) }")
