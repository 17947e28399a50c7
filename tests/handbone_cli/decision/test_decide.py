from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handbone_cli.decision.decide import DecidedMasks, is_bone, weighted_sum
from handbone_cli.decision.document import Decision


def u8(*values):
    return np.array(values, np.uint8)


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.2, [False, True, True, True, True]),  # 255 t = 51
        (0.5, [False, False, False, True, True]),  # 127.5
        (0.0, [True, True, True, True, True]),
        (1.0, [False, False, False, False, False]),
    ],
)
def test_a_pixel_is_bone_strictly_above_255_t(threshold, expected):
    q = u8(51, 52, 127, 128, 255)
    assert is_bone([q], np.array([1.0]), threshold).tolist() == expected


def test_two_members_decide_together():
    members = [u8(0, 100, 200, 255), u8(255, 155, 50, 0)]
    assert is_bone(members, np.array([0.5, 0.5]), 0.5).tolist() == [False, False, False, False]
    assert is_bone(members, np.array([0.4, 0.6]), 0.5).tolist() == [True, True, False, False]


def test_a_weighted_sum_by_hand_for_one_and_for_several_sets():
    members = [u8(4, 8).reshape(1, 2), u8(100, 0).reshape(1, 2)]
    assert weighted_sum(members, np.array([0.25, 0.75])).tolist() == [[76.0, 2.0]]
    several = weighted_sum(members, np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]))
    assert several.tolist() == [[[4.0, 52.0, 100.0], [8.0, 4.0, 0.0]]]


def random_planes(seed, classes=3, size=(40, 60)):
    """A blob of noise a class, anywhere, and one class that is nowhere."""
    draw = np.random.default_rng(seed)
    planes = np.zeros((classes, *size), np.uint8)
    for plane in planes[:-1]:
        y, x = draw.integers(0, size[0] - 10), draw.integers(0, size[1] - 10)
        plane[y : y + 15, x : x + 15] = draw.integers(0, 256, plane[y : y + 15, x : x + 15].shape)
    return planes


@pytest.mark.parametrize("count", [1, 2, 3])
def test_decided_masks_are_those_of_the_dense_planes(make_store, count):
    images = [{f"i{n}": random_planes(10 * m + n) for n in range(3)} for m in range(count)]
    stores = [make_store(f"s{m}", each) for m, each in enumerate(images)]
    draw = np.random.default_rng(0)
    weights = draw.dirichlet(np.ones(count), 3)
    thresholds = np.array([0.3, 0.5, 0.4])
    decision = Decision(stores[0].class_names, weights, thresholds, ())
    masks = DecidedMasks(decision, stores)
    for image_id in masks.image_ids:
        floored = [np.where(each[image_id] > 12, each[image_id], 0) for each in images]
        total = sum(w[:, None, None] * q for w, q in zip(weights.T, floored, strict=True))
        expected = total > 255 * thresholds[:, None, None]
        assert expected[0].any()
        assert np.array_equal(masks.mask(image_id).dense(), expected)


def test_rules_work_in_the_box_one_after_the_other(make_store):
    planes = np.zeros((2, 40, 40), np.uint8)
    planes[0, 20:24, 20:26] = 200
    store = make_store("s", {"a": planes})
    decision = Decision(store.class_names, np.ones((2, 1)), np.full(2, 0.5), ())
    heard = []

    def cut_first_row(mask, class_name):
        heard.append((class_name, mask.shape, int(mask.sum())))
        result = mask.copy()
        result[np.flatnonzero(mask.any(axis=1))[0]] = False
        return result

    mask = DecidedMasks(decision, [store], [cut_first_row, cut_first_row]).mask("a")
    assert heard == [("bone0", (36, 36), 24), ("bone0", (36, 36), 18)]
    assert mask.boxes() == [(22, 24, 20, 26), (0, 0, 0, 0)]


def test_only_images_that_every_member_has(make_store):
    planes = np.zeros((1, 4, 4), np.uint8)
    first = make_store("first", dict.fromkeys("cab", planes))
    second = make_store("second", dict.fromkeys("bdc", planes))
    decision = Decision(("bone0",), np.full((1, 2), 0.5), np.full(1, 0.5), (Path("a"), Path("b")))
    masks = DecidedMasks(decision, [first, second])
    assert masks.image_ids == ["c", "b"]
    assert (masks.person("c"), masks.person("b")) == ("ID0", "ID1")
    assert masks.class_names == ("bone0",)
