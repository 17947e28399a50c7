from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.decision.decide import DecidedMasks, weighted_sum
from handbone_cli.decision.document import Decision
from handbone_cli.decision.summation import mean, summed
from handbone_cli.store.store import ImageEntry, Store, StoreWriter

SIZE = (90, 110)
THRESHOLDS = np.array([0.5, 0.5, 0.123, 0.8, 0.06])
WEIGHTS = np.array([[0.5, 0.5], [0.2, 0.8], [0.3, 0.7], [0.9, 0.1], [0.0, 1.0]])


def blobs(draw):
    """(5, H, W): slopes of all levels, in places of their own."""
    planes = np.zeros((5, *SIZE), np.uint8)
    for plane in planes:
        y, x = draw.integers(0, 40, 2)
        slope = np.linspace(0, 255, 40)[:, None] * np.linspace(0.2, 1, 50)
        plane[y : y + 40, x : x + 50] = slope + draw.uniform(-9, 0, slope.shape).clip(-slope)
    return planes


@pytest.mark.parametrize("seed", range(4))
def test_masks_of_the_sum_are_those_of_the_members(make_store, tmp_path, seed):
    """Levels beside a threshold, ties of halves and thresholds below the core among them."""
    draw = np.random.default_rng(seed)
    stores = [make_store(name, {"a": blobs(draw)}) for name in ("one", "two")]
    decision = Decision(stores[0].class_names, WEIGHTS, THRESHOLDS, ())
    members = [store.load("a") for store in stores]
    total = summed(members, WEIGHTS, THRESHOLDS)
    with StoreWriter(tmp_path / "sum", decision.class_names, {}, ["a"], None) as writer:
        writer.write("a", total, ImageEntry("ID0", *SIZE, None, "", seen=False))
    alone = Decision(decision.class_names, np.ones((5, 1)), THRESHOLDS, ())
    expected = DecidedMasks(decision, stores).mask("a").dense()
    found = DecidedMasks(alone, [Store.open(tmp_path / "sum")]).mask("a").dense()
    assert expected.any(axis=(1, 2)).all()
    assert np.array_equal(found, expected)
    full = (0, SIZE[0], 0, SIZE[1])
    for index in range(5):
        crops = [member.crop(index, full) for member in members]
        exact = weighted_sum(crops, WEIGHTS[index])
        inside = (q := total.crop(index, full)) > 0
        assert np.abs(q - exact)[inside].max() <= 1
        far = np.abs(exact - 255 * THRESHOLDS[index]) > 1
        assert np.abs(q - exact)[inside & far].max() <= 0.5


def test_a_tie_at_one_half_is_no_bone(make_store):
    stores = []
    for name, level in (("one", 127), ("two", 128)):
        planes = np.zeros((1, *SIZE), np.uint8)
        planes[0, 30:40, 30:40] = level
        stores.append(make_store(name, {"a": planes}))
    members = [store.load("a") for store in stores]
    half = summed(members, np.full((1, 2), 0.5), np.array([0.5])).crop(0, (30, 40, 30, 40))
    assert half.tolist() == [[127] * 10] * 10  # rint would say 128, which is above 127.5


def test_the_mean_of_one_is_itself_and_of_three_their_mean(make_store):
    draw = np.random.default_rng(5)
    members = [make_store(str(n), {"a": blobs(draw)}).load("a") for n in range(3)]
    assert mean(members[:1]) is members[0]
    full = (0, SIZE[0], 0, SIZE[1])
    total = mean(members)
    for index in range(5):
        exact = np.mean([member.crop(index, full) for member in members], axis=0)
        q = total.crop(index, full)
        assert (q > 0).any()
        assert np.abs(q - exact)[q > 0].max() <= 0.5 + 1e-9


def test_a_class_that_is_nowhere_stays_nowhere(make_store):
    planes = np.zeros((2, *SIZE), np.uint8)
    planes[0, 5:9, 5:9] = 200
    member = make_store("s", {"a": planes}).load("a")
    total = summed([member, member], np.full((2, 2), 0.5), np.full(2, 0.5))
    assert total.box(0) == member.box(0)
    assert total.box(1) == (0, 0, 0, 0)
