from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.bone_groups import LEAST_IOU, NO_GROUPS, BoneGroups, Census

NAMES = ["Radius", "Ulna", "Pisiform", "Triquetrum"]


def groups_of(*images, pixels=1000, classes=None):
    """Images as (areas, {pair: shared})."""
    classes = classes or len(images[0][0])
    census = Census(classes)
    for areas, pairs in images:
        shared = np.zeros((classes, classes), np.int64)
        for pair, count in pairs.items():
            shared[pair] = count
        census.add(np.array(areas), shared, pixels)
    return census.groups()


def test_a_quarter_is_small_by_its_median_area():
    areas = [[90, 10, 50, 60, 70, 12, 50, 50], [90, 11, 50, 60, 70, 13, 50, 50]]
    assert groups_of(*((each, {}) for each in areas)).small == (1, 5)
    assert groups_of((areas[0][:7], {})).small == (1,)
    outlier = [90, 99, 50, 60, 70, 12, 50, 50]
    assert groups_of(*((each, {}) for each in [*areas, outlier])).small == (1, 5)


def test_sizes_are_shares_of_the_image():
    census = Census(4)
    for areas, pixels in (([10, 30, 30, 30], 100), ([400, 300, 500, 500], 10_000)):
        census.add(np.array(areas), np.zeros((4, 4), int), pixels)
    # Medians: .07, .165, .175, .175; in pixels the second would be the smallest.
    assert census.groups().small == (0,)


def test_where_all_are_alike_or_few_none_is_small():
    assert groups_of(([50, 49, 51, 48], {})) == NO_GROUPS
    assert groups_of(([50, 34, 50, 50], {})).small == ()
    assert groups_of(([51, 33, 51, 51], {})).small == (1,)
    assert groups_of(([50, 1, 50], {})) == NO_GROUPS
    assert groups_of(([50], {})) == NO_GROUPS
    assert Census(4).groups() == NO_GROUPS


def test_a_class_that_is_nowhere_is_not_small_and_an_image_without_one_says_nothing_of_it():
    assert groups_of(([0, 10, 50, 60, 70], {})).small == (1,)
    assert groups_of(([0, 10, 50, 60], {})).small == ()
    there_once = groups_of(([0, 20, 50, 60], {}), ([0, 20, 50, 60], {}), ([10, 21, 50, 60], {}))
    assert there_once.small == (0,)
    large_once = groups_of(([0, 20, 50, 60], {}), ([0, 20, 50, 60], {}), ([70, 20, 50, 60], {}))
    assert large_once.small == (1,)


def test_pairs_by_mean_iou_where_both_are_most_first():
    both = {(0, 1): 10, (1, 2): 20, (0, 2): 1}
    assert groups_of(([50, 50, 50], both)).pairs == ((1, 2), (0, 1))
    # IoU of 0 and 1: 10 / 90, then 0; and nothing from an image without the one.
    apart = ([50, 50, 50], {(1, 2): 20})
    assert groups_of(([50, 50, 50], both), apart).pairs == ((1, 2),)
    assert groups_of(([50, 50, 50], both), ([50, 0, 50], {})).pairs == ((1, 2), (0, 1))


@pytest.mark.parametrize(("shared", "found"), [(18, ()), (20, ((0, 1),))])
def test_the_limit_is_a_tenth(shared, found):
    """18 of 202 and 20 of 200 pixels of the union."""
    assert LEAST_IOU == 0.1
    assert groups_of(([110, 110], {(0, 1): shared})).pairs == found


def test_what_is_logged():
    groups = BoneGroups((2,), ((2, 3), (0, 1)))
    dice = np.array([0.9, 0.8, 0.123456, 0.6])
    assert groups.figures(NAMES, dice, np.array([0.5, 1.0])) == {
        "small_bones": 0.12346,
        "overlap_pairs": {"Pisiform+Triquetrum": 0.5, "Radius+Ulna": 1.0},
    }
    assert groups.small_names(NAMES) == ["Pisiform"]
    two = BoneGroups((2, 3)).figures(NAMES, dice, np.zeros(0))
    assert two == {"small_bones": pytest.approx((0.123456 + 0.6) / 2, abs=1e-5)}
    assert NO_GROUPS.figures(NAMES, dice, np.zeros(0)) == {}


def test_bones_that_overlap_over_others_are_one_cluster():
    groups = BoneGroups(pairs=((4, 5), (0, 7), (5, 9), (1, 2)))
    assert groups.clusters() == [(0, 7), (1, 2), (4, 5, 9)]
    assert BoneGroups().clusters() == []
