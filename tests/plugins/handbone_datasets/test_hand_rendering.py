"""The drawn radiograph: its type, its chance, and that bones can be told from what is around."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_datasets import film
from handbone_datasets.bone_attenuation import bone_attenuation
from handbone_datasets.hand_rendering import render
from handbone_datasets.hand_shapes import RADIUS, Hand, HandShapes
from handbone_datasets.soft_tissue import tissue_attenuation


def hand_of(seed, size=256, **options) -> Hand:
    return HandShapes.load().draw(np.random.default_rng(seed), size=size, **options)


def drawn(seed, size=256, **options) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return render(HandShapes.load().draw(rng, size=size, **options), rng)


def bone_mask(hand: Hand) -> np.ndarray:
    mask = np.zeros((hand.size, hand.size), np.uint8)
    for outline in hand.outlines:
        cv2.fillPoly(mask, [np.rint((outline - 0.5) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return mask


@pytest.mark.parametrize("size", [64, 256, 512])
def test_the_radiograph_is_grey_and_square(size):
    grey = drawn(0, size)
    assert grey.dtype == np.uint8
    assert grey.shape == (size, size)
    assert grey.max() > 100


def test_the_same_seed_gives_the_same_radiograph():
    np.testing.assert_array_equal(drawn(7), drawn(7))


def test_another_seed_gives_another_radiograph_of_the_same_hand():
    hand = hand_of(1)
    first, second = (render(hand, np.random.default_rng(seed)) for seed in (1, 2))
    assert np.abs(first.astype(int) - second).mean() > 2


def test_rendering_leaves_the_hand_as_it_was():
    hand = hand_of(2)
    before = [outline.copy() for outline in hand.outlines]
    render(hand, np.random.default_rng(0))
    for outline, kept in zip(hand.outlines, before, strict=True):
        np.testing.assert_array_equal(outline, kept)


@pytest.mark.parametrize("seed", range(12))
def test_bones_are_brighter_than_the_flesh_around_them(seed):
    hand = hand_of(seed, 256)
    grey = render(hand, np.random.default_rng(seed)).astype(float)
    mask = bone_mask(hand)
    near = cv2.dilate(mask, np.ones((13, 13), np.uint8)) - cv2.dilate(
        mask, np.ones((3, 3), np.uint8)
    )
    assert grey[mask == 1].mean() > grey[near == 1].mean() + 12


def test_overlaps_add_up():
    hand = hand_of(3, 512, bent_share=0.0)
    plane = bone_attenuation(hand, np.random.default_rng(0))
    triquetrum, pisiform = (
        cv2.fillPoly(np.zeros((512, 512), np.uint8), [np.rint(hand.outlines[bone]).astype(int)], 1)
        for bone in (25, 26)
    )
    both = (triquetrum & pisiform) == 1
    assert plane[both].mean() > 1.2 * plane[(triquetrum == 1) & ~both].mean()


def test_a_shaft_has_bright_cortices_around_a_darker_canal():
    hand = hand_of(4, 1024, bent_share=0.0)
    plane = bone_attenuation(hand, np.random.default_rng(0))
    metacarpal = cv2.fillPoly(
        np.zeros((1024, 1024), np.uint8), [np.rint(hand.outlines[10]).astype(int)], 1
    )
    depth = cv2.distanceTransform(metacarpal, cv2.DIST_L2, 5)
    rows = np.abs(np.arange(1024) - hand.outlines[10][:, 1].mean()) < 25
    cortex = plane[rows][(depth[rows] > 1.5) & (depth[rows] < 4)]
    canal = plane[rows][depth[rows] > 8]
    assert cortex.mean() > 1.15 * canal.mean()


@pytest.mark.parametrize("seed", range(3))
def test_flesh_covers_the_bones_and_leaves_air(seed):
    hand = hand_of(seed, 256)
    flesh, tissue = tissue_attenuation(hand, np.random.default_rng(seed), 256)
    assert (tissue[bone_mask(hand) == 1] == 1).mean() > 0.995
    assert 0.12 < tissue.mean() < 0.6
    assert flesh.min() >= 0
    assert flesh[tissue == 1].mean() > 20 * flesh[tissue == 0].mean()


def test_a_ring_is_brighter_than_all_bone():
    hand = hand_of(0, 512)
    plane = bone_attenuation(hand, np.random.default_rng(0))
    with_ring = plane.copy()
    film.add_ring(with_ring, hand, np.random.default_rng(0))
    assert (with_ring - plane).max() > 0.8
    assert 0 < (with_ring > plane).mean() < 0.01


def test_a_marker_lies_in_the_field_and_off_the_hand():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        hand = hand_of(seed, 256)
        _, tissue = tissue_attenuation(hand, rng, 256)
        field = film.Field.draw(hand, rng)
        plane = np.zeros((256, 256), np.float32)
        film.add_marker(plane, hand, tissue, field, rng)
        rows, columns = np.nonzero(plane)
        if rows.size:
            assert columns.min() >= field.left
            assert columns.max() < field.right
            assert rows.min() >= field.top
        assert not (plane[tissue == 1] > 0).any()


def test_the_field_leaves_the_hand_free():
    for seed in range(40):
        hand = hand_of(seed, 512)
        field = film.Field.draw(hand, np.random.default_rng(seed))
        bones = np.concatenate(hand.outlines[:RADIUS])
        assert field.left < bones[:, 0].min()
        assert field.right > bones[:, 0].max()
        assert field.top < bones[:, 1].min()


@pytest.mark.parametrize("first", [0, 30, 60])
def test_rings_bars_plates_and_shutters_never_break(first):
    for seed in range(first, first + 30):
        grey = drawn(seed, 128, side="left" if seed % 2 else "right")
        assert grey.shape == (128, 128)
        assert grey.std() > 5
