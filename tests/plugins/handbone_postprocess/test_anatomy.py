"""The rule `anatomy` on hands drawn from the shape model, with pieces and names gone wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli import HAND_BONES, Bone, HandboneError, PostContext, ShapeModel
from handbone_postprocess.anatomy import AnatomyOptions, build_anatomy

SIZE = (512, 512)
UNIT = 240.0


def draw_hand(seed=0, side=1.0):
    """Name -> plane (H, W) of each bone."""
    model = ShapeModel.load()
    b = 0.6 * np.random.default_rng(seed).standard_normal(20)
    b[0] = -1.15
    shape = model.mean + np.tensordot(b, model.displacements, axes=1)
    pixels = np.rint(shape * np.array([side, 1.0]) * UNIT + (256, 320)).astype(np.int32)
    planes = {}
    for name, outline in zip(HAND_BONES, pixels, strict=True):
        planes[name] = np.zeros(SIZE, np.uint8)
        cv2.fillPoly(planes[name], [outline], (1,))
    return planes


def as_bones(planes):
    def never():
        raise AssertionError("anatomy looks at outlines alone")

    return {
        name: Bone(name, (0, SIZE[0], 0, SIZE[1]), plane > 0, 0.5, never, never)
        for name, plane in planes.items()
        if plane.any()
    }


def arrange(planes, **options):
    rule = build_anatomy(AnatomyOptions(**options), PostContext(HAND_BONES))
    return rule.arrange(as_bones(planes), SIZE)


@pytest.mark.parametrize("side", [1.0, -1.0])
def test_nothing_changes_on_a_hand(side):
    made = arrange(draw_hand(1, side))
    assert (dict(made.masks), dict(made.names)) == ({}, {})


def test_a_piece_on_another_bone_goes_and_one_near_its_own_stays():
    planes = draw_hand(2)
    clean = planes["finger-6"].copy()
    planes["finger-6"] |= cv2.erode(planes["finger-2"], np.ones((5, 5), np.uint8))
    planes["Radius"][300:303, 20:23] = 1
    cut = planes["finger-11"].copy()
    middle = int(np.flatnonzero(cut.any(axis=1)).mean())
    planes["finger-11"][middle - 2 : middle + 2] = 0  # a bone in two halves
    made = arrange(planes)
    assert set(made.masks) == {"finger-6", "Radius"}
    assert np.array_equal(made.masks["finger-6"], clean > 0)
    assert not made.masks["Radius"][300:303, 20:23].any()
    assert not made.names


def test_the_larger_piece_goes_if_it_is_in_the_wrong_place():
    planes = draw_hand(3)
    tip = planes["finger-12"].copy()
    planes["finger-12"] |= planes["finger-7"]  # a metacarpal is much larger than a tip
    made = arrange(planes)
    assert set(made.masks) == {"finger-12"}
    assert np.array_equal(made.masks["finger-12"], tip > 0)


def test_of_pieces_that_are_all_far_off_the_nearest_stays():
    planes = draw_hand(4)
    planes["Pisiform"][:] = 0
    planes["Pisiform"][10:14, 10:14] = 1
    planes["Pisiform"][150:153, 250:253] = 1
    made = arrange(planes)
    assert made.masks["Pisiform"].sum() == 9


@pytest.mark.slow  # 1.5 s: a fit for every exchange
def test_swapped_neighbours_are_exchanged_only_if_asked():
    planes = draw_hand(5)
    planes["finger-6"], planes["finger-10"] = planes["finger-10"], planes["finger-6"]
    expected = {"finger-6": "finger-10", "finger-10": "finger-6"}
    assert dict(arrange(planes).names) == expected
    made = arrange(planes, exchanges=False)
    assert (dict(made.masks), dict(made.names)) == ({}, {})


@pytest.mark.slow  # 1.5 s: a fit for every exchange
def test_pieces_are_judged_by_the_name_that_a_bone_gets():
    planes = draw_hand(6)
    planes["finger-6"], planes["finger-10"] = planes["finger-10"].copy(), planes["finger-6"].copy()
    own = planes["finger-6"].copy()
    planes["finger-6"][20:24, 20:24] = 1
    made = arrange(planes)
    assert made.names["finger-6"] == "finger-10"
    assert np.array_equal(made.masks["finger-6"], own > 0)
    assert not arrange(planes, exchanges=False).masks  # whose name is in doubt stays as it is


def test_the_margin_says_how_far_off_a_piece_may_be():
    planes = draw_hand(7)
    rows, columns = np.nonzero(planes["finger-8"])
    top, middle = rows.min(), int(columns.mean())
    off = round(0.08 * UNIT)
    planes["finger-8"][top - off - 4 : top - off, middle - 2 : middle + 2] = 1
    assert set(arrange(planes, margin=0.05).masks) == {"finger-8"}
    assert not arrange(planes, margin=0.15).masks


@pytest.mark.slow  # 2 s: every start of a fit is tried
def test_what_is_no_hand_stays():
    rng = np.random.default_rng(0)
    planes = {}
    for name in HAND_BONES:
        planes[name] = np.zeros(SIZE, np.uint8)
        for _ in range(2):
            y, x = rng.integers(0, 480, 2)
            planes[name][y : y + 25, x : x + 15] = 1
    made = arrange(planes)
    assert (dict(made.masks), dict(made.names)) == ({}, {})
    few = {name: draw_hand()[name] for name in HAND_BONES[:5]}
    few["finger-1"][5:9, 5:9] = 1
    assert not arrange(few).masks


def test_other_classes_than_a_hands_are_refused():
    with pytest.raises(HandboneError) as caught:
        build_anatomy(AnatomyOptions(), PostContext(("femur", "tibia")))
    assert str(caught.value) == (
        "post-processor 'anatomy': knows the 29 bones of a hand (finger-1 ... Ulna), and none of "
        "the classes is one (femur, tibia, ...); leave it out."
    )
