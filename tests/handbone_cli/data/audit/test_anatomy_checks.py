from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.anatomy.outline_features import evenly
from handbone_cli.data.audit.anatomy_checks import check_hand


def scaled(outline, factor):
    centre = outline.mean(axis=0)
    return centre + factor * (outline - centre)


def ringed(outline, width=16.0):
    points = evenly(outline, 400)
    middle = points.mean(axis=0)
    axis = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    along, normal = (points - middle) @ axis, np.array([-axis[1], axis[0]])
    band = np.abs(along) < 0.08 * np.ptp(along)
    return points + np.outer(band * np.sign((points - middle) @ normal) * width, normal)


def kinds(hands, outlines):
    return {(f.kind, f.bones) for f in check_hand(hands.image(outlines)).findings}


@pytest.mark.parametrize("bend", [-1.15, 0.83])
def test_clean_hands_have_no_findings(hands, bend):
    for seed in range(3):
        for side in ("left", "right"):
            check = check_hand(hands.image(hands.outlines(seed, bend, side)))
            assert check.findings == ()
            assert check.side == side
            assert abs(check.unit - 540) < 25


def test_swapped_carpals_are_named_and_nothing_else(hands):
    outlines = hands.outlines(1)
    outlines["Scaphoid"], outlines["Lunate"] = outlines["Lunate"], outlines["Scaphoid"]
    (finding,) = check_hand(hands.image(outlines)).findings
    assert finding.kind == "swapped"
    assert finding.says in {
        "Scaphoid and Lunate look swapped.",
        "Lunate and Scaphoid look swapped.",
    }


def test_a_wrong_order_says_what_the_names_look_like(hands):
    outlines = hands.outlines(2)
    outlines["finger-9"], outlines["finger-10"] = outlines["finger-10"], outlines["finger-9"]
    (finding,) = check_hand(hands.image(outlines)).findings
    assert finding.kind == "order"
    assert " are in the wrong order; they look like " in finding.says


def test_a_pisiform_on_the_ulna_is_misplaced(hands):
    outlines = hands.outlines(3)
    to = outlines["Ulna"][:12].mean(axis=0) - outlines["Pisiform"].mean(axis=0)
    outlines["Pisiform"] = outlines["Pisiform"] + to
    check = check_hand(hands.image(outlines))
    (finding,) = check.findings
    assert (finding.kind, finding.bones) == ("misplaced", ("Pisiform",))
    far = float(np.hypot(*to))
    told = float(finding.says.split(" lies ")[1].split(" px")[0])
    assert abs(told - far) < 12
    bone = HAND_BONES.index("Pisiform")
    assert check.place_sds(bone) > 6
    assert check.place_sds(bone, (-to[0], -to[1])) < 4


@pytest.mark.parametrize("factor", [0.75, 1.3])
def test_a_bone_of_the_wrong_size(hands, factor):
    outlines = hands.outlines(4)
    outlines["finger-6"] = scaled(outlines["finger-6"], factor)
    assert ("size", ("finger-6",)) in kinds(hands, outlines)
    share = check_hand(hands.image(outlines)).findings[0].says
    assert "% of the area that the other bones expect" in share


def test_a_ring_in_the_outline(hands):
    outlines = hands.outlines(5)
    outlines["finger-14"] = ringed(outlines["finger-14"])
    (finding,) = check_hand(hands.image(outlines)).findings
    assert (finding.kind, finding.bones) == ("ring", ("finger-14",))
    assert finding.says.endswith("too wide on both sides of its shaft: a ring?")


def test_other_faults_of_a_renamed_bone_go_by_its_label(hands):
    outlines = hands.outlines(5)
    ring, other = ringed(outlines["finger-14"]), outlines["finger-10"]
    outlines["finger-10"], outlines["finger-14"] = ring, other
    findings = check_hand(hands.image(outlines)).findings
    assert {(f.kind, f.bones) for f in findings} == {
        ("swapped", ("finger-10", "finger-14")),
        ("ring", ("finger-10",)),
    }


def test_a_bump_on_one_side_is_a_shape(hands):
    outlines = hands.outlines(6)
    outline = evenly(outlines["finger-11"], 200)
    bump = 22 * np.exp(-np.square((np.arange(200) - 50) / 8.0))
    ahead = outline[55] - outline[45]
    normal = np.array([ahead[1], -ahead[0]]) / np.linalg.norm(ahead)
    outlines["finger-11"] = outline + np.outer(bump, normal)
    (finding,) = check_hand(hands.image(outlines)).findings
    assert (finding.kind, finding.bones) == ("shape", ("finger-11",))
    assert "sticks out by" in finding.says


def test_few_bones_are_not_checked(hands):
    outlines = hands.outlines(0)
    assert check_hand(hands.image({name: outlines[name] for name in list(outlines)[:5]})) is None


def test_missing_bones_have_no_sizes(hands):
    outlines = hands.outlines(0)
    del outlines["finger-1"], outlines["finger-3"]
    check = check_hand(hands.image(outlines))
    assert np.flatnonzero(np.isnan(check.sizes)).tolist() == [0, 2]
    assert np.isnan(check.sesamoid)
