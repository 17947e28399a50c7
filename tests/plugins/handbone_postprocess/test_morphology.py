from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from handbone_cli import PostContext
from handbone_postprocess.morphology import (
    DiscOptions,
    FillHolesOptions,
    build_closing,
    build_fill_holes,
    build_opening,
    disc,
)


def parse(picture):
    return np.array([[mark == "#" for mark in row] for row in picture.split()])


def fill(mask, max_area=None):
    return build_fill_holes(FillHolesOptions(max_area=max_area), PostContext())(mask, "Radius")


def closing(mask, radius):
    return build_closing(DiscOptions(radius=radius), PostContext())(mask, "Radius")


def opening(mask, radius):
    return build_opening(DiscOptions(radius=radius), PostContext())(mask, "Radius")


HOLES = parse("""
    .........
    .#######.
    .#.##..#.
    .####..#.
    .#######.
    .#.#####.
    .#.......
""")


def test_holes_up_to_the_area_are_filled_and_the_outside_never_is():
    one = HOLES.copy()
    one[2, 2] = True
    both = one.copy()
    both[2:4, 5:7] = True
    assert (fill(HOLES, 1) == one).all()
    assert (fill(HOLES, 3) == one).all()
    assert (fill(HOLES, 4) == both).all()
    assert (fill(HOLES) == both).all()


def test_what_only_touches_outside_by_a_corner_is_a_hole():
    mask = parse("##.. #.#. .##. ....")
    assert fill(mask)[1, 1]  # joined to no outside pixel by an edge
    assert not fill(mask)[2, 0]


def test_an_opening_to_the_edge_of_the_box_is_no_hole():
    assert (fill(parse("### #.# #.#")) == parse("### #.# #.#")).all()


def test_a_disc_is_round():
    assert (disc(2) == parse("..#.. .###. ##### .###. ..#..")).all()


def brute(mask, radius, every):
    """Dilation (any) or erosion (every) of an endless plane that goes on as the box ends."""
    result = np.zeros_like(mask)
    padded = np.pad(mask, radius, mode="edge")
    inside = disc(radius) > 0
    side = 2 * radius + 1
    for y, x in np.ndindex(mask.shape):
        seen = padded[y : y + side, x : x + side][inside]
        result[y, x] = seen.all() if every else seen.any()
    return result


@pytest.mark.parametrize("radius", [1, 2, 4])
def test_closing_and_opening_are_dilation_and_erosion_with_the_disc(radius):
    mask = np.random.default_rng(radius).random((25, 30)) < 0.6
    around = 2 * radius
    padded = np.pad(mask, around, mode="edge")
    inner = np.s_[around:-around, around:-around]
    closed = brute(brute(padded, radius, every=False), radius, every=True)[inner]
    opened = brute(brute(padded, radius, every=True), radius, every=False)[inner]
    assert (closing(mask, radius) == closed).all()
    assert (opening(mask, radius) == opened).all()
    assert (closed >= mask).all()
    assert (opened <= mask).all()
    assert closed.sum() > mask.sum() > opened.sum()


def test_a_bone_that_the_image_cuts_off_keeps_its_cut_edge():
    mask = np.zeros((20, 20), np.bool_)
    mask[5:, 4:16] = True
    assert opening(mask, 3)[-1].sum() == 12
    assert not opening(mask, 3)[5, 4]  # a real corner is rounded


@pytest.mark.parametrize("rule", [fill, lambda m: closing(m, 2), lambda m: opening(m, 2)])
@pytest.mark.parametrize("mask", [HOLES, HOLES.T, HOLES[:, ::2], np.zeros((0, 3), np.bool_)])
def test_the_result_is_an_array_of_its_own(rule, mask):
    before = mask.copy()
    result = rule(mask)
    assert (result.dtype, result.shape) == (np.bool_, mask.shape)
    result[...] = True
    assert (mask == before).all()


@pytest.mark.parametrize(
    ("options", "values"), [(FillHolesOptions, {"max_area": 0}), (DiscOptions, {"radius": 0})]
)
def test_sizes_are_positive(options, values):
    with pytest.raises(ValidationError):
        options(**values)
