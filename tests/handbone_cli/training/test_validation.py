from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.bone_groups import NO_GROUPS, BoneGroups
from handbone_cli.host.interfaces import Sample
from handbone_cli.masks import PackedMask
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.training.validation import Scored, Validation, count_stale, half, validate

FULL = (0, 10, 0, 10)


def boxed(planes):
    return BoxedProbabilities.from_planes(len(planes), (10, 10), lambda i: (planes[i], FULL))


def test_half_is_strict():
    plane = np.full((10, 10), 127, np.uint8)
    plane[2, 3] = 128
    mask = half(boxed([plane, np.zeros_like(plane)]))
    assert np.argwhere(mask.dense()).tolist() == [[0, 2, 3]]


def test_scores_of_the_labelled_images():
    square = np.array([(2, 2), (5, 2), (5, 5), (2, 5)], np.float32)
    plane = np.zeros((10, 10), np.uint8)
    plane[2:6, 2:4] = 255

    def predict(sample):
        return boxed([plane, np.zeros_like(plane)])

    samples = [
        Sample("a", "p", lambda: None),
        Sample("b", "p", lambda: None, lambda: {0: [square]}),
    ]
    scored = list(validate(samples, predict))
    assert [(each.image_id, each.dice.tolist()) for each in scored] == [("b", [2 / 3, 1.0])]


def test_overlaps_are_scored_beside_the_bones():
    planes = np.zeros((3, 10, 10), np.uint8)
    planes[0, 2:6], planes[1, 4:8], planes[2, 9] = 255, 255, 255
    rows = {0: (2, 6), 1: (5, 8), 2: (9, 10)}  # both in row 5 alone, half of what is predicted

    def read():
        dense = np.zeros((3, 10, 10), bool)
        for index, (first, end) in rows.items():
            dense[index, first:end] = True
        return PackedMask.from_dense(dense)

    sample = Sample("a", "p", lambda: None, read)
    (scored,) = validate([sample], lambda _: boxed(planes), [(0, 1), (1, 2)])
    assert scored.dice.tolist() == [1, 2 * 30 / 70, 1]
    assert scored.overlap_dice.tolist() == [2 / 3, 1]


def test_the_means_of_a_validation():
    scores = [
        Scored("a", np.array([0.9, 0.5, 0.7]), np.array([0.2])),
        Scored("b", np.array([0.7, 0.3, 0.9]), np.array([0.6])),
    ]
    validation = Validation.of(scores, BoneGroups((1,), ((0, 2),)))
    assert validation.mean_dice == pytest.approx(2 / 3)
    assert validation.figures(["Radius", "Pisiform", "Ulna"]) == {
        "mean_dice": validation.mean_dice,
        "dice": {"Radius": 0.8, "Pisiform": 0.4, "Ulna": 0.8},
        "small_bones": 0.4,
        "overlap_pairs": {"Radius+Ulna": 0.4},
    }
    alone = Validation.of([Scored("a", np.array([0.5]))], NO_GROUPS)
    assert alone.figures(["Radius"]) == {"mean_dice": 0.5, "dice": {"Radius": 0.5}}


@pytest.mark.parametrize(
    ("history", "min_delta", "stale"),
    [
        ([], 0.0, 0),
        ([0.0], 0.1, 0),
        ([0.5, 0.6, 0.6], 0.0, 1),
        ([0.5, 0.4, 0.5, 0.51], 0.0, 0),
        ([0.5, 0.5625, 0.53], 0.0625, 2),  # as much as min_delta is not more
        ([0.5, 0.5004, 0.5008], 0.001, 2),
        ([0.5, 0.5004, 0.5008, 0.5012], 0.001, 0),  # small gains add up
        ([0.5, 0.5004, 0.5008, 0.5012, 0.5016, 0.502], 0.001, 2),
        ([0.5, 0.9, 0.52, 0.54], 0.01, 2),
    ],
)
def test_validations_without_a_gain_that_counts(history, min_delta, stale):
    assert count_stale(history, min_delta) == stale


def test_a_picture_is_drawn_when_it_is_asked_for():
    asked = []

    def draw(sample, predicted, truth, dice, epoch):
        asked.append((sample.image_id, predicted.size, truth.size, dice.tolist(), epoch))
        return np.zeros((1, 1, 3), np.uint8) if sample.image_id == "b" else None

    blank = boxed([np.zeros((10, 10), np.uint8)])
    samples = [Sample(name, "p", lambda: None, dict) for name in "ab"]
    first, second = validate(samples, lambda _: blank, draw=draw)
    assert asked == []
    assert first.draw(7) is None
    assert second.draw(7).shape == (1, 1, 3)
    assert asked == [(name, (10, 10), (10, 10), [1.0], 7) for name in "ab"]
    assert [each.draw for each in validate(samples, lambda _: blank)] == [None, None]
