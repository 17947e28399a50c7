from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.decision.decide import is_bone
from handbone_cli.decision.statistics import tabulate
from handbone_cli.decision.weights import candidates
from handbone_cli.masks import PackedMask
from handbone_cli.scores import dice_per_class
from handbone_cli.store.boxes import BoxedProbabilities

SIZE = (30, 34)
WHOLE = (0, 30, 0, 34)
TELLING = np.array([0, 13, 51, 52, 53, 101, 102, 103, 127, 128, 152, 153, 154, 254, 255], np.uint8)
"""Where 255 t is a whole number (51, 102, 153) or lies between two (127.5), and the ends."""
JUST_BELOW = float(np.linspace(0, 1, 256)[53])
"""255 t is 53 less a rounding error."""


def random_member(seed, absent):
    """A bone of telling values in a random box, over one that is nowhere in some members."""
    draw = np.random.default_rng(seed)
    planes = np.zeros((2, *SIZE), np.uint8)
    for plane in planes[: 1 if absent else 2]:
        y, x = draw.integers(0, 15, 2)
        h, w = draw.integers(1, 15, 2)
        # Many pixels where all members agree, and as many where they do not.
        plane[y : y + h, x : x + w] = draw.choice(TELLING, (h, w))
        plane[:8, :8] = np.resize(TELLING, 64).reshape(8, 8)
    return BoxedProbabilities.from_planes(2, SIZE, lambda c: (planes[c], WHOLE))


def random_truth(seed, absent):
    draw = np.random.default_rng((seed, 1))
    dense = np.zeros((2, *SIZE), bool)
    for plane in dense[: 1 if absent else 2]:
        y, x = draw.integers(0, 15, 2)
        plane[y : y + 12, x : x + 12] = draw.random((12, 12)) < 0.8
        plane[:8, :8] = draw.random((8, 8)) < 0.5
    return PackedMask.from_dense(dense)


def dense_dice(members, truth, weights, threshold):
    """Hard Dice (2,) of whole masks, by the one definition."""
    planes = [
        is_bone([m.crop(index, WHOLE) for m in members], weights, threshold) for index in (0, 1)
    ]
    return dice_per_class(PackedMask.from_dense(np.stack(planes)), truth)


@pytest.mark.parametrize("threshold", [0.2, JUST_BELOW, 0.4, 0.5, 0.6])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_dice_of_the_table_is_dice_of_the_whole_masks(count, threshold, spread):
    weights = candidates(count)[:: max(1, count * 2 - 3)]
    limits = max(threshold - spread, 0.2), min(threshold + spread, 0.6)
    for seed in range(4):
        absent = [seed == 1, seed in {1, 2}, False]
        members = [random_member((seed, m), absent[m] or seed == 3) for m in range(count)]
        truth = random_truth(seed, absent=seed in {2, 3})
        tables = [tabulate(members, truth, index, limits) for index in (0, 1)]
        got = np.stack([table.dice(weights, threshold) for table in tables], axis=1)
        expected = [dense_dice(members, truth, row, threshold) for row in weights]
        assert np.array_equal(got, expected)


def test_a_bone_that_is_nowhere_scores_one_and_a_missed_one_zero():
    nothing = BoxedProbabilities.from_planes(2, SIZE, lambda _: (np.zeros(SIZE, np.uint8), WHOLE))
    truth = random_truth(0, absent=True)
    weights = candidates(2)
    missed, absent = (tabulate([nothing] * 2, truth, index) for index in (0, 1))
    assert missed.dice(weights, 0.5).tolist() == [0.0] * len(weights)
    assert absent.dice(weights, 0.5).tolist() == [1.0] * len(weights)


def test_only_open_pixels_are_kept_and_counts_are_pixels():
    planes = np.zeros((2, 1, 6), np.uint8)
    planes[0], planes[1] = [200, 200, 0, 10, 200, 200], [200, 0, 200, 100, 0, 255]
    members = [
        BoxedProbabilities.from_planes(1, (1, 6), lambda _, p=plane: (p, (0, 1, 0, 6)))
        for plane in planes
    ]
    truth = PackedMask.from_dense(np.array([[[1, 1, 0, 1, 0, 0]]], bool))
    table = tabulate(members, truth, 0)
    # Pixels 0 and 5 are above in both, 3 in neither; (200, 0) comes twice, (0, 200) once.
    assert [row.tolist() for row in table.members] == [[200, 0], [0, 200]]
    assert (table.inside.tolist(), table.outside.tolist()) == ([1, 0], [1, 1])
    assert (table.always, table.truth) == ((1, 1), 3)
    taken_first = 2 * (1 + 1) / ((2 + 2) + 3)
    assert table.dice(np.array([[1.0, 0.0]]), 0.5).tolist() == [taken_first]


@pytest.mark.parametrize("threshold", [0.29, 0.61])
def test_a_threshold_out_of_range_is_refused(threshold):
    table = tabulate([random_member(0, absent=False)], random_truth(0, absent=False), 0, (0.3, 0.6))
    with pytest.raises(ValueError, match="outside the table's range"):
        table.dice(np.ones((1, 1)), threshold)


@pytest.mark.parametrize("count", [7, 8, 10, 17])
def test_any_number_of_members_fits(count):
    members = [random_member((5, m), absent=m == 4) for m in range(count)]
    truth = random_truth(5, absent=False)
    draw = np.random.default_rng(count)
    weights = np.concatenate([draw.dirichlet(np.ones(count), 4), np.eye(count)[-2:]])
    for threshold in (0.37, 0.5):
        expected = [dense_dice(members, truth, row, threshold) for row in weights]
        tables = [tabulate(members, truth, index, (0.3, 0.6)) for index in (0, 1)]
        got = np.stack([table.dice(weights, threshold) for table in tables], axis=1)
        assert np.array_equal(got, expected)
    distinct = np.stack(tables[0].members, axis=1)
    assert len(np.unique(distinct, axis=0)) == len(distinct)


def test_the_sums_are_those_of_the_planes():
    members = [random_member((3, m), absent=False) for m in range(2)]
    truth = random_truth(3, absent=False)
    table = tabulate(members, truth, 1, (0.45, 0.55))
    planes = [member.crop(1, WHOLE).astype(int) for member in members]
    bone = truth.crop(1, WHOLE)
    assert table.sums.tolist() == [[p[bone].sum() for p in planes], [p.sum() for p in planes]]
