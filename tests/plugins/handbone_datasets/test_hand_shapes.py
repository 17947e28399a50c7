"""Drawn hands: their anatomy against the 288 measured hands, their placement, their chance."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from handbone_cli import HAND_BONES
from handbone_cli.anatomy import shape_model
from handbone_datasets import hand_shapes
from handbone_datasets.hand_shapes import RADIUS, ULNA, Hand, HandShapes

FIGURES = Path(shape_model.__file__).with_name("hand_shapes.npz")


def draw(seed, **options):
    return HandShapes.load().draw(np.random.default_rng(seed), **options)


def masks(hand: Hand) -> np.ndarray:
    planes = np.zeros((len(HAND_BONES), hand.size, hand.size), np.uint8)
    for plane, outline in zip(planes, hand.outlines, strict=True):
        cv2.fillPoly(plane, [np.rint((outline - 0.5) * 16).astype(np.int32)], 1, cv2.LINE_8, 4)
    return planes


def measure(hand: Hand) -> tuple[np.ndarray, np.ndarray, float]:
    """Areas (29,) in px at 2048, pairwise IoU (29, 29), fraction of multi-label pixels."""
    flat = masks(hand).reshape(len(HAND_BONES), -1)
    areas = flat.sum(axis=1, dtype=np.int64)
    shared = np.flatnonzero(flat.sum(axis=0, dtype=np.uint8) > 1)
    few = flat[:, shared].astype(np.float64)
    both = few @ few.T
    scale = (2048 / hand.size) ** 2
    return areas * scale, both / (areas[:, None] + areas - both), len(shared) / flat.shape[1]


def test_the_figures_need_no_pickle_and_little_room():
    assert FIGURES.stat().st_size < 150_000
    with np.load(FIGURES, allow_pickle=False) as figures:
        assert tuple(figures["class_names"]) == HAND_BONES


def test_load_reads_once():
    assert HandShapes.load() is HandShapes.load()


def test_a_hand_has_29_outlines_of_float32_points():
    hand = draw(0)
    assert (hand.side, hand.size, len(hand.outlines)) == ("left", 2048, 29)
    for outline in hand.outlines:
        assert outline.dtype == np.float32
        assert outline.ndim == 2
        assert outline.shape[1] == 2
        assert len(outline) > 60


def test_the_same_seed_draws_the_same_hand():
    for first, second in zip(draw(3).outlines, draw(3).outlines, strict=True):
        np.testing.assert_array_equal(first, second)


def test_other_seeds_draw_other_hands():
    assert not np.allclose(draw(3).outlines[0][:20], draw(4).outlines[0][:20], atol=1)


@pytest.mark.parametrize("seed", range(4))
def test_a_left_hand_is_the_mirror_image_of_a_right_one(seed):
    left, right = draw(seed, side="left"), draw(seed, side="right")
    for mine, other in zip(left.outlines, right.outlines, strict=True):
        mirrored = np.stack([2048 - other[::-1, 0], other[::-1, 1]], axis=1)
        np.testing.assert_allclose(mine, mirrored, atol=1e-3)


def test_the_thumb_of_a_left_hand_is_on_the_right():
    for seed in range(10):
        hand = draw(seed, side="left", bent_share=0.0)
        assert hand.outlines[0][:, 0].mean() > hand.outlines[15][:, 0].mean()


def test_points_run_clockwise_on_both_sides():
    for side in ("left", "right"):
        for outline in draw(1, side=side).outlines:
            x, y = outline.T.astype(float)
            assert (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() > 0


@pytest.mark.parametrize("size", [64, 512, 1024])
def test_anatomy_does_not_depend_on_the_size(size):
    for small, large in zip(draw(5, size=size).outlines, draw(5).outlines, strict=True):
        np.testing.assert_allclose(small * (2048 / size), large, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("side", ["left", "right"])
def test_hands_stay_inside_and_forearms_leave_below(side):
    for seed in range(40):
        hand = draw(seed, side=side)
        bones = np.concatenate(hand.outlines[:RADIUS])
        assert bones.min() > 0
        assert bones.max() < hand.size
        for bone in (RADIUS, ULNA):
            x, y = hand.outlines[bone].T
            assert y.max() > hand.size + 40
            inside = x[y <= hand.size]
            assert inside.min() > 0
            assert inside.max() < hand.size


def test_bent_wrists_come_at_the_share_asked_for():
    assert not any(draw(seed, bent_share=0.0).bent for seed in range(20))
    assert all(draw(seed, bent_share=1.0).bent for seed in range(20))
    assert 20 <= sum(draw(seed, bent_share=0.35).bent for seed in range(100)) <= 50


def tilt(hand: Hand) -> float:
    """Degrees by which the line from the Capitate to finger-8 leaves the vertical."""
    x, y = hand.outlines[7].mean(axis=0) - hand.outlines[21].mean(axis=0)
    return float(np.degrees(np.arctan2(x, -y)))


def test_straight_hands_are_upright_and_bent_ones_lean_to_the_little_finger():
    straight = [tilt(draw(seed, side="right", bent_share=0.0)) for seed in range(30)]
    bent = [tilt(draw(seed, side="right", bent_share=1.0)) for seed in range(30)]
    assert max(np.abs(straight)) < 12
    assert min(bent) > 25
    assert max(bent) < 80


def test_two_hands_of_a_person_are_more_alike_than_two_people():
    shapes, rng = HandShapes.load(), np.random.default_rng(0)

    def areas(body):
        hand = shapes.draw(rng, body=body, bent_share=0.0)
        return np.log([cv2.contourArea(outline) for outline in hand.outlines[:RADIUS]])

    bodies = [shapes.draw_body(rng) for _ in range(20)]
    pairs = [(areas(body), areas(body)) for body in bodies]
    same = np.mean([np.abs(a - b).mean() for a, b in pairs])
    others = np.mean([np.abs(pairs[i][0] - pairs[i - 1][1]).mean() for i in range(20)])
    assert same < 0.6 * others


def test_a_body_is_21_clipped_numbers():
    bodies = [HandShapes.load().draw_body(np.random.default_rng(seed)) for seed in range(50)]
    assert {body.shape for body in bodies} == {(21,)}
    assert np.abs(bodies).max() <= hand_shapes.LIMIT


def test_an_unknown_side_is_refused():
    with pytest.raises(ValueError, match="side must be one of left, right, not 'up'"):
        draw(0, side="up")


@pytest.mark.slow  # 100 hands at 2048 take 8 s
def test_areas_and_overlaps_are_those_of_the_288_hands():
    shapes, rng = HandShapes.load(), np.random.default_rng(1)
    # 58 % of the measured hands have a bent wrist
    measured = [measure(shapes.draw(rng, size=2048, bent_share=0.58)) for _ in range(100)]
    areas, overlaps, shared = (np.mean(part, axis=0) for part in zip(*measured, strict=True))
    with np.load(FIGURES, allow_pickle=False) as figures:
        pairs, iou = figures["overlap_pairs"], figures["overlap_iou"]
        np.testing.assert_allclose(areas, figures["area_px_mean"], rtol=0.15)
        np.testing.assert_allclose(shared, figures["multi_label_fraction"], rtol=0.15)
    drawn = overlaps[pairs[:, 0], pairs[:, 1]]
    large = iou >= 0.1
    np.testing.assert_allclose(drawn[large], iou[large], rtol=0.15)
    np.testing.assert_allclose(drawn[~large], iou[~large], atol=0.015)
    known = {(int(a), int(b)) for a, b in pairs}
    rest = [overlaps[a, b] for a in range(29) for b in range(a + 1, 29) if (a, b) not in known]
    assert max(rest) < 0.005
