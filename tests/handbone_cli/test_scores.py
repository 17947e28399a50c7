from __future__ import annotations

import math

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.scores import (
    clustered_error,
    dice,
    dice_per_class,
    dice_per_pair,
    overlap_counts,
    pair_counts,
)


@pytest.mark.parametrize(
    ("intersection", "predicted", "truth", "expected"),
    [(0, 0, 0, 1), (0, 5, 0, 0), (0, 0, 5, 0), (3, 4, 5, 6 / 9), (7, 7, 7, 1)],
)
def test_dice_from_counts(intersection, predicted, truth, expected):
    result = dice(np.array([intersection]), np.array([predicted]), np.array([truth]))
    assert result.tolist() == [expected]


def test_counts_and_dice_of_masks():
    predicted, truth = np.zeros((4, 5, 6), bool), np.zeros((4, 5, 6), bool)
    predicted[0, 1:3, 1:3] = True
    truth[0, 2:5, 2:6] = True
    predicted[1, 0, 0] = True
    truth[2, 4, 5] = True
    pair = PackedMask.from_dense(predicted), PackedMask.from_dense(truth)
    assert overlap_counts(*pair).tolist() == [[1, 4, 12], [0, 1, 0], [0, 0, 1], [0, 0, 0]]
    assert dice_per_class(*pair).tolist() == [2 / 16, 0, 0, 1]


@pytest.mark.parametrize(("size", "classes"), [((4, 6), 3), ((4, 5), 4)])
def test_masks_of_another_size_or_class_count_are_refused(size, classes):
    with pytest.raises(ValueError, match="masks differ"):
        overlap_counts(PackedMask.empty((4, 5), 3), PackedMask.empty(size, classes))


def test_clustered_error_by_hand():
    # Mean 3; sums of deviations: a: -2 - 1 = -3, b: 0 + 3 = 3; sqrt(2 / 1 * (9 + 9)) / 4.
    values = np.array([1.0, 2.0, 3.0, 6.0])
    assert clustered_error(values, ["a", "a", "b", "b"]) == pytest.approx(6 / 4)
    # Everyone alone: the standard error of the mean, sd / sqrt(n).
    alone = np.std(values, ddof=1) / 2
    assert clustered_error(values, list("abcd")) == pytest.approx(alone)


def test_clustered_error_does_not_depend_on_the_order():
    values = np.array([1.0, 3.0, 2.0, 6.0])
    assert clustered_error(values, ["y", "x", "y", "x"]) == pytest.approx(6 / 4)


@pytest.mark.parametrize(("values", "groups"), [([], []), ([1.0, 2.0], ["a", "a"])])
def test_one_group_has_no_error(values, groups):
    assert math.isnan(clustered_error(np.array(values), groups))


def test_what_two_classes_share_is_scored_as_a_mask_of_its_own():
    rng = np.random.default_rng(4)
    predicted, truth = rng.random((2, 4, 9, 11)) < 0.5
    truth[3], predicted[3, :, :6] = False, False
    pairs = [(0, 1), (2, 0), (1, 3), (3, 3)]
    ours, theirs = (
        PackedMask.from_dense(np.array([dense[a] & dense[b] for a, b in pairs]))
        for dense in (predicted, truth)
    )
    masks = PackedMask.from_dense(predicted), PackedMask.from_dense(truth)
    assert np.array_equal(pair_counts(*masks, pairs), overlap_counts(ours, theirs))
    assert np.array_equal(dice_per_pair(*masks, pairs), dice_per_class(ours, theirs))
    assert dice_per_pair(*masks, []).shape == (0,)


def test_an_overlap_that_is_nowhere_scores_one_and_a_false_one_none():
    apart, over = np.zeros((2, 2, 4, 8), bool)
    apart[0, :, :4] = apart[1, :, 4:] = True
    over[0, :, :4] = over[1, :, 3:] = True
    a, b = PackedMask.from_dense(apart), PackedMask.from_dense(over)
    assert dice_per_pair(a, a, [(0, 1)]).tolist() == [1]
    assert dice_per_pair(b, a, [(0, 1)]).tolist() == [0]
    assert dice_per_pair(a, b, [(0, 1)]).tolist() == [0]
    assert dice_per_pair(b, b, [(0, 1)]).tolist() == [1]
    with pytest.raises(ValueError, match="masks differ"):
        dice_per_pair(a, PackedMask.empty((4, 9), 2), [(0, 1)])
