from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from handbone_cli import HAND_BONES, PackedMask
from handbone_cli.anatomy.pose import BENT, pose_of
from handbone_datasets.generated import draw_hand, pixel_contours

REAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "hands"
THUMB_TO_LITTLE = ("finger-3", "finger-7", "finger-11", "finger-15", "finger-19")


def bar(x, y, length, width=16):
    """An upright rectangle about (x, y)."""
    half = np.array([width, length]) / 2
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + (x, y)
    return corners.astype(np.float32)


def turned(outline, degrees, about):
    """Clockwise on the screen."""
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return ((outline - about) @ turn.T + about).astype(np.float32)


def hand(bend=0.0, side="right", lean=0.0):
    """Bars for the forearm and the metacarpals, bent at the wrist, then leaning as a whole."""
    bones = {"Radius": bar(185, 330, 120, 30), "Ulna": bar(220, 330, 120, 24)}
    for place, name in enumerate(THUMB_TO_LITTLE):
        bones[name] = turned(bar(140 + 30 * place, 160, 80), bend, (200, 260))
    if side == "left":
        bones = {name: (399, 0) - bone[::-1] * (1, -1) for name, bone in bones.items()}
    return {
        HAND_BONES.index(name): [turned(bone, lean, (200, 200))] for name, bone in bones.items()
    }


@pytest.mark.parametrize("lean", [0, 30, -80, 170])
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("bend", [0, 35, -30])
def test_bend_and_side_whichever_way_the_hand_lies(bend, side, lean):
    pose = pose_of(hand(bend, side, lean), HAND_BONES)
    assert pose.bend == pytest.approx(bend, abs=0.1)
    assert (pose.side, pose.bent) == (side, bend != 0)


@pytest.mark.parametrize("way", [-1, 1])
def test_where_bent_begins(way):
    assert not pose_of(hand(way * (BENT - 0.5)), HAND_BONES).bent
    assert pose_of(hand(way * (BENT + 0.5)), HAND_BONES).bent


def test_masks_and_other_class_orders():
    names = [*THUMB_TO_LITTLE, "Ulna", "shadow", "Radius"]
    outlines = hand(30, "left")
    other = {names.index(HAND_BONES[index]): parts for index, parts in outlines.items()}
    assert pose_of(other, names) == pose_of(outlines, HAND_BONES)
    masks = PackedMask.from_polygons(outlines, (400, 400), len(HAND_BONES))
    pose = pose_of(masks, HAND_BONES)
    assert pose.bend == pytest.approx(30, abs=0.7)
    assert (pose.side, pose.bent) == ("left", True)


def test_the_largest_part_counts():
    outlines = hand(30)
    for parts in outlines.values():
        parts.insert(0, bar(20, 20, 4, 40))
        parts.append(np.array([[5, 5], [9, 9], [13, 13]], np.float32))  # without area
    assert pose_of(outlines, HAND_BONES) == pose_of(hand(30), HAND_BONES)


def without(outlines, *names):
    return {i: parts for i, parts in outlines.items() if HAND_BONES[i] not in names}


def test_bones_that_are_missing():
    outlines = hand(30)
    assert pose_of({}, HAND_BONES) is None
    assert pose_of(without(outlines, "finger-11"), HAND_BONES) is None
    assert pose_of(without(outlines, "Radius", "Ulna"), HAND_BONES) is None
    for one in ("Radius", "Ulna"):
        assert pose_of(without(outlines, one), HAND_BONES).bend == pytest.approx(30, abs=0.1)
    alone = [name for name in THUMB_TO_LITTLE if name != "finger-11"]
    pose = pose_of(without(outlines, *alone), HAND_BONES)
    assert (pose.side, pose.bent, round(pose.bend)) == (None, True, 30)
    two = pose_of(without(hand(0, "left"), *alone[1:]), HAND_BONES)
    assert two.side == "left"


def test_a_forearm_that_is_cut_short_has_no_axis():
    outlines = hand(0)
    outlines[HAND_BONES.index("Radius")] = [bar(185, 275, 10, 40)]  # lies across
    assert pose_of(outlines, HAND_BONES).bend == pytest.approx(0, abs=0.1)
    outlines[HAND_BONES.index("Ulna")] = [bar(220, 275, 25, 24)]
    assert pose_of(outlines, HAND_BONES) is None


def test_hands_whose_pose_is_known():
    seen = set()
    for number in range(60):
        drawn = draw_hand(4, number // 2, number % 2, 512)
        contours = (pixel_contours(outline, 512) for outline in drawn.outlines)
        outlines = {i: found for i, found in enumerate(contours) if found}
        pose = pose_of(outlines, HAND_BONES)
        assert (pose.side, pose.bent) == (drawn.side, drawn.bent)
        seen.add((pose.side, pose.bent))
    assert len(seen) == 4


@pytest.mark.skipif(not REAL.is_dir(), reason="the real hands are not here")
def test_real_hands_are_straight_and_one_of_each_side_a_person():
    sides = {}
    for path in sorted(REAL.glob("*/outputs_json/*/*.json")):
        annotations = json.loads(path.read_text())["annotations"]
        outlines = {
            HAND_BONES.index(each["label"]): [np.array(each["points"], np.float32)]
            for each in annotations
        }
        pose = pose_of(outlines, HAND_BONES)
        assert abs(pose.bend) < 16
        sides.setdefault(path.parent.name, set()).add(pose.side)
    assert len(sides) == 12
    assert all(found == {"left", "right"} for found in sides.values())
