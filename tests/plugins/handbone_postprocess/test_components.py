from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from handbone_cli import PostContext
from handbone_postprocess.components import (
    RemoveSmallOptions,
    build_largest_component,
    build_remove_small,
)


def parse(picture):
    return np.array([[mark == "#" for mark in row] for row in picture.split()])


def remove_small(mask, min_area):
    rule = build_remove_small(RemoveSmallOptions(min_area=min_area), PostContext())
    return rule(mask, "radius")


def largest_component(mask):
    return build_largest_component(None, PostContext())(mask, "radius")


MASK = parse("""
    ##....#
    ##...#.
    ......#
    .##....
""")


def test_remove_small_keeps_components_of_the_area_and_over():
    assert (remove_small(MASK, 2) == MASK).all()
    expected = parse("##....# ##...#. ......# .......")
    assert (remove_small(MASK, 3) == expected).all()  # three pixels joined by their corners
    assert (remove_small(MASK, 4) == parse("##..... ##..... ....... .......")).all()
    assert not remove_small(MASK, 5).any()


def test_largest_component_keeps_one_and_the_first_of_equals():
    assert (largest_component(MASK) == parse("##..... ##..... ....... .......")).all()
    assert (largest_component(parse("#.##.##")) == parse("..##...")).all()


@pytest.mark.parametrize("rule", [largest_component, lambda mask: remove_small(mask, 3)])
@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        MASK[:, ::2],
        np.asfortranarray(MASK),
        np.zeros((3, 4), np.bool_),
        np.ones((3, 4), np.bool_),
        np.zeros((0, 4), np.bool_),
    ],
)
def test_the_result_is_a_subset_in_an_array_of_its_own(rule, mask):
    before = mask.copy()
    kept = rule(mask)
    assert kept.dtype == np.bool_
    assert kept.shape == mask.shape
    assert not np.shares_memory(kept, mask)
    assert not (kept & ~mask).any()
    kept[...] = True
    assert (mask == before).all()


def test_a_full_mask_stays_full():
    full = np.ones((30, 30), np.bool_)
    assert remove_small(full, 900).all()
    assert not remove_small(full, 901).any()
    assert largest_component(full).all()


def test_the_area_is_not_negative():
    with pytest.raises(ValidationError):
        RemoveSmallOptions(min_area=-1)
