from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data.audit.anatomy_checks import check_hand
from handbone_cli.data.audit.edges import edge_findings, edge_fits


def audit(hands, outlines, grey, *, anatomy=True):
    image = hands.image(outlines)
    hand = check_hand(image) if anatomy else None
    return list(edge_findings(image, edge_fits(grey, image.main), hand))


def test_outlines_on_edges_are_not_off(hands):
    for side in ("left", "right"):
        outlines = hands.outlines(1, side=side)
        assert audit(hands, outlines, hands.picture(outlines)) == []


def test_a_dark_bone_film_is_as_good(hands):
    outlines = hands.outlines(2)
    grey = 255 - hands.picture(outlines)
    assert edge_fits(grey, hands.image(outlines).main).own > 0.7
    assert audit(hands, outlines, grey) == []
    outlines["finger-10"] = outlines["finger-10"] + np.float32([12, 0])
    assert [f.bones for f in audit(hands, outlines, grey)] == [("finger-10",)]


@pytest.mark.parametrize("anatomy", [True, False])
def test_a_shifted_outline_is_told_the_way_back(hands, anatomy):
    outlines = hands.outlines(3)
    grey = hands.picture(outlines)
    outlines["finger-6"] = outlines["finger-6"] + np.float32([9, -6])
    (finding,) = audit(hands, outlines, grey, anatomy=anatomy)
    assert (finding.kind, finding.bones) == ("off_bone", ("finger-6",))
    assert "9 px left and 6 px down they are" in finding.says
    assert finding.score > 1


def test_the_way_back_is_in_pixels_of_the_image(hands):
    outlines = hands.outlines(3)
    grey = np.kron(hands.picture(outlines), np.ones((2, 2), np.uint8))
    moved = {name: outline * 2 + 0.5 for name, outline in outlines.items()}
    moved["Capitate"] = moved["Capitate"] + np.float32([0, 24])
    image = hands.image(moved)
    image = type(image)("a", "b", (2048, 2048), image.class_names, image.parts)
    (finding,) = edge_findings(image, edge_fits(grey, image.main), None)
    assert finding.bones == ("Capitate",)
    assert "24 px up" in finding.says


def test_a_little_off_is_no_fault(hands):
    outlines = hands.outlines(4)
    grey = hands.picture(outlines)
    moved = {name: outline + np.float32([2, 0]) for name, outline in outlines.items()}
    assert audit(hands, moved, grey) == []


def test_edges_where_the_bone_cannot_be_do_not_count(hands):
    outlines = hands.outlines(5)
    image = hands.image(outlines)
    grey = hands.picture({name: o for name, o in outlines.items() if name != "finger-9"})
    shifted = outlines["finger-9"] + np.float32([16, 16])
    grey = np.maximum(grey, hands.picture({"finger-9": shifted}))
    fits = edge_fits(grey, image.main)
    far = list(edge_findings(image, fits, None))
    assert [finding.bones for finding in far] == [("finger-9",)]
    assert list(edge_findings(image, fits, check_hand(image))) == []


def test_labels_of_a_turned_image_are_mirrored(hands):
    outlines = hands.outlines(6)
    grey = hands.picture(outlines)[:, ::-1].copy()
    (finding,) = audit(hands, outlines, grey)
    assert (finding.kind, finding.score) == ("mirrored", 10.0)
    assert len(finding.bones) == 29


def test_labels_that_are_all_beside_are_one_finding(hands):
    outlines = hands.outlines(7)
    grey = hands.picture(outlines)
    moved = {name: outline + np.float32([11, 7]) for name, outline in outlines.items()}
    (finding,) = audit(hands, moved, grey)
    assert finding.kind == "off_bone"
    assert finding.says.endswith("outlines lie beside the edges: another image's labels?")


def test_an_even_image_has_no_edges(hands):
    outlines = hands.outlines(8)
    assert audit(hands, outlines, np.full((1024, 1024), 90, np.uint8)) == []
