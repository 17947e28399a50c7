from __future__ import annotations

import math
from xml.etree import ElementTree as ET

import pytest

from handbone_cli.results.gains import GainBar, draw_gains, is_gains

SVG = "{http://www.w3.org/2000/svg}"
BARS = [
    GainBar("all bones", 0.004, 0.002, 0.001, kept=True),
    GainBar("finger-1 <a>", 0.01, 0.005, 0.002, kept=True),
    GainBar("Ulna", 0.002, -0.001, math.nan, kept=False),
]


def drawn(bars):
    return ET.fromstring(draw_gains(bars, "Gain: a & b", "4 images of 2 people"))


def circles(root, look):
    return [each for each in root.iter(f"{SVG}circle") if each.get("class") == look]


def test_every_bar_stands_where_its_figures_are():
    root = drawn(BARS)
    ticks = [t for t in root.iter(f"{SVG}text") if t.get("class") == "tick"]
    values = {float(tick.text): float(tick.get("x")) for tick in ticks}
    low, high = min(values), max(values)
    scale = (values[high] - values[low]) / (high - low)

    def value(circle):
        return low + (float(circle.get("cx")) - values[low]) / scale

    promised = circles(root, "promise")[1:]  # the first is the legend's
    assert [value(c) for c in promised] == pytest.approx([0.004, 0.01, 0.002], abs=2e-5)
    kept = circles(root, "gain kept")[1:]
    assert [value(c) for c in kept] == pytest.approx([0.002, 0.005], abs=2e-5)
    assert [value(c) for c in circles(root, "gain")[1:]] == pytest.approx([-0.001], abs=2e-5)


def test_what_is_written():
    words = [each.text for each in drawn(BARS).iter(f"{SVG}text")]
    assert words[:2] == ["Gain: a & b", "4 images of 2 people"]
    assert [w for w in words if w in {bar.name for bar in BARS}] == [bar.name for bar in BARS]
    titles = [each.text for each in drawn(BARS).iter(f"{SVG}title")]
    assert titles[0] == "all bones: +0.0020 +- 0.0010, in-sample +0.0040"


def test_gains_of_nothing_are_drawn_too():
    flat = [GainBar("all bones", 0.0, 0.0, 0.0, kept=False)]
    assert len(circles(drawn(flat), "promise")) == 2


def test_the_picture_is_known_by_its_head():
    assert is_gains(draw_gains(BARS, "x", "y").encode())
    assert not is_gains(b"<svg>")
