from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from handbone_cli.results.compare import Scores, compare
from handbone_cli.results.forest_plot import draw_forest, is_forest, p_text, signed

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def result():
    rng = np.random.default_rng(0)
    b = 0.9 + 0.02 * rng.random((24, 3))
    a = b + rng.normal(0, 0.002, b.shape)
    a[:, 0] += 0.01
    a[:, 2] = np.nan
    persons = np.repeat([f"p{i}" for i in range(12)], 2).tolist()
    names = ("Radius", "<b>&Ulna", "Lunate")
    return compare(Scores([str(i) for i in range(24)], persons, names, np.stack([a, b])))


@pytest.fixture(scope="module")
def drawn(result):
    return draw_forest(result, ("a<1>.csv", "b.csv"))


def test_a_row_for_all_bones_and_each(result, drawn):
    root = ET.fromstring(drawn)
    texts = [each.text for each in root.iter(f"{SVG}text")]
    rows = [text for text in texts if text in {"all bones", "Radius", "<b>&Ulna", "Lunate"}]
    assert rows == ["all bones", "Radius", "<b>&Ulna"]  # Lunate has no difference
    bone = result.bones[0]
    low, high = bone.interval
    assert f"{bone.difference:+.4f}  ({low:+.4f} to {high:+.4f})" in texts
    assert "a<1>.csv less b.csv: mean Dice" in texts


def test_dots_are_where_the_scale_says(result, drawn):
    """Two dots fix the scale, the third and the zero line must lie on it."""
    root = ET.fromstring(drawn)
    circles = list(root.iter(f"{SVG}circle"))
    x = [float(circle.get("cx")) for circle in circles]
    shown = [result.overall, result.bones[0], result.bones[1]]
    differences = [finding.difference for finding in shown]
    slope = (x[1] - x[2]) / (differences[1] - differences[2])
    zero = x[2] - slope * differences[2]
    assert slope > 0
    assert x[0] == pytest.approx(zero + slope * differences[0], abs=0.1)
    line = next(p for p in root.iter(f"{SVG}path") if p.get("class") == "zero")
    at = float(re.match(r"M([0-9.]+)", line.get("d"))[1])
    assert at == pytest.approx(zero, abs=0.1)
    expected = ["differs" if finding.certain else "tie" for finding in shown]
    assert [circle.get("class") for circle in circles] == expected
    assert expected[1:] == ["differs", "tie"]


def test_hb_knows_its_own(drawn):
    assert is_forest(drawn.encode())
    assert not is_forest(b"<svg>")


@pytest.mark.parametrize(
    ("value", "text"),
    [(-0.00001, "+0.0000"), (0.0, "+0.0000"), (-0.0123, "-0.0123"), (2, "+2.0000")],
)
def test_zero_has_no_minus(value, text):
    assert signed(value) == text


def test_small_p_values():
    assert [p_text(p) for p in (1.0, 0.0123, 0.001, 0.0001)] == [
        "1.000",
        "0.012",
        "0.001",
        "<0.001",
    ]
