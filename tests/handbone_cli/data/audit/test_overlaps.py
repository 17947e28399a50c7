from __future__ import annotations

import numpy as np

from handbone_cli.data.audit.overlaps import overlap_findings, overlaps_of, usual_overlaps


def findings(hands, outlines):
    image = hands.image(outlines)
    return overlap_findings(image, overlaps_of(image), usual_overlaps([], hand=True))


def square(x, y, side):
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], np.float32)


def test_the_share_of_the_smaller_bone(hands):
    image = hands.image({"Radius": square(0, 0, 99), "Ulna": square(80, 0, 39)})
    ((pair, share),) = overlaps_of(image).items()
    assert pair == ("Radius", "Ulna")
    np.testing.assert_allclose(share, 0.5, atol=0.01)


def test_boxes_that_meet_are_not_enough(hands):
    triangle = np.array([[0, 0], [100, 0], [0, 100]], np.float32)
    other = np.array([[100, 100], [60, 100], [100, 60]], np.float32)
    assert overlaps_of(hands.image({"Radius": triangle, "Ulna": other})) == {}


def test_hands_overlap_as_hands_do(hands):
    for bend in (-1.15, 0.83):
        assert findings(hands, hands.outlines(1, bend)) == []


def test_a_bone_on_another_is_told_with_the_usual(hands):
    outlines = hands.outlines(2)
    to = outlines["finger-14"].mean(axis=0) - outlines["finger-9"].mean(axis=0)
    outlines["finger-9"] = outlines["finger-9"] + to
    (finding,) = findings(hands, outlines)
    assert finding.bones == ("finger-9", "finger-14")
    assert finding.says.endswith("% of the smaller one, usually none.")


def test_what_the_dataset_shows_everywhere_is_usual():
    pair = ("a", "b")
    many = [{pair: 0.4}] * 15 + [{}] * 6
    assert usual_overlaps(many, hand=False) == {pair: 0.4}
    assert usual_overlaps(many[:19], hand=False) == {}
    known = usual_overlaps([], hand=True)["Triquetrum", "Pisiform"]
    assert 0.6 < known < 0.9
    assert usual_overlaps([], hand=True)["Pisiform", "Triquetrum"] == known
