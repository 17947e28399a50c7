from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data.audit.geometry import crossing_loop, geometry_findings

BOW_TIE = np.array([[0, 0], [40, 40], [40, 0], [0, 40]], np.float32)


def circle(x=100.0, y=100.0, radius=40.0, points=200):
    turn = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return (np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius + (x, y)).astype(np.float32)


def found(image):
    return [(finding.kind, finding.bones, finding.says) for finding in geometry_findings(image)]


def test_a_crossing_cuts_off_a_loop():
    assert crossing_loop(BOW_TIE) == 400
    assert crossing_loop(circle()) == 0
    assert crossing_loop(np.rint(circle())) == 0


@pytest.mark.parametrize("start", range(0, 200, 17))
def test_a_crossing_is_found_wherever_the_outline_starts(start):
    spoilt = circle()
    spoilt[40:80] = spoilt[40:80][::-1].copy()
    assert abs(crossing_loop(np.roll(spoilt, start, axis=0)) - 235.6) < 0.5


def test_touching_itself_is_no_crossing():
    spur = np.array([[0, 0], [20, 0], [20, 10], [30, 10], [20, 10], [20, 20], [0, 20]], np.float32)
    assert crossing_loop(spur) == 0


def test_a_crossing_outline_is_reported_with_its_loop(hands):
    image = hands.image({"finger-9": BOW_TIE + 100})
    says = "The outline of finger-9 crosses itself; a loop of 400 px\u00b2 is cut off."
    assert found(image) == [("crossing", ("finger-9",), says)]


def test_a_clean_hand_has_no_faults(hands):
    assert found(hands.image(hands.outlines(1))) == []


@pytest.mark.parametrize(
    ("centre", "over"),
    [((30, 100), 10), ((100, 30), 10), ((1003, 100), 20), ((100, 1003), 20)],
)
def test_an_outline_that_leaves_the_image(hands, centre, over):
    image = hands.image({"Radius": circle(*centre)})
    says = f"Radius leaves the image (1024 x 1024) by {over} px."
    assert found(image) == [("outside", ("Radius",), says)]


def test_pixels_of_the_border_are_inside(hands):
    corners = np.array([[-0.5, -0.5], [1023.5, -0.5], [1023.5, 1023.5]], np.float32)
    assert found(hands.image({"Radius": corners})) == []


def test_two_outlines_of_one_bone(hands):
    twice = hands.image({"Ulna": [circle(), circle(102)]})
    assert found(twice) == [("doubled", ("Ulna",), "Ulna is outlined twice.")]
    extra = hands.image({"Ulna": [circle(), circle(400, radius=20)]})
    says = "Ulna has a second outline elsewhere, 25 % as large."
    assert found(extra) == [("extra", ("Ulna",), says)]
    box = next(geometry_findings(extra)).box
    assert box == (80, 121, 380, 421)


def test_one_outline_under_two_names(hands):
    image = hands.image({"finger-9": circle(), "finger-13": circle(103), "Ulna": circle(140)})
    ((kind, bones, says),) = found(image)
    assert (kind, bones) == ("doubled", ("finger-9", "finger-13"))
    assert says.startswith("finger-9 and finger-13 have the same outline (IoU 0.9")
