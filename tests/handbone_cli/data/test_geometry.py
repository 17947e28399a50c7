from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.data import geometry
from handbone_cli.masks import PackedMask

RNG = np.random.default_rng(3)
GREY = RNG.integers(0, 256, (20, 26)).astype(np.uint8)


def turned(degrees=12.0, zoom=0.7):
    return geometry.compose(
        geometry.translation(13, 10),
        geometry.rotation(degrees),
        geometry.scaling(zoom, zoom),
        geometry.translation(-8, -8),
    )


def test_the_identity_and_whole_shifts():
    identity = geometry.translation(0, 0)
    assert np.array_equal(geometry.warp(GREY, identity, GREY.shape), GREY)
    shifted = geometry.warp(GREY, geometry.translation(3, 2), (5, 6))
    assert np.array_equal(shifted, GREY[2:7, 3:9])


def test_pixel_centres_lie_at_a_half():
    row = np.array([[10, 20, 30, 40]], np.uint8).repeat(4, axis=0)
    half = geometry.warp(row, geometry.between((2, 2), (4, 4)), (2, 2))
    assert half[0].tolist() == [15, 35]
    double = geometry.warp(row, geometry.between((8, 8), (4, 4)), (8, 8))
    assert double[4, 1:-1].tolist() == pytest.approx([12.5, 17.5, 22.5, 27.5, 32.5, 37.5], abs=0.5)


@pytest.mark.parametrize("size", [(10, 13), (15, 20), (40, 52)])
def test_scaling_is_the_resize_of_cv2(size):
    ours = geometry.warp(GREY, geometry.between(size, GREY.shape), size)
    theirs = cv2.resize(GREY, size[::-1], interpolation=cv2.INTER_LINEAR)
    inside = (slice(2, -2), slice(2, -2))
    # warpAffine rounds places to 1/32 of a pixel
    assert np.abs(ours[inside].astype(int) - theirs[inside]).max() <= 255 / 32


def test_compose_applies_the_last_first():
    point = np.array([2.0, 5.0, 1.0])
    both = geometry.compose(geometry.translation(10, 0), geometry.scaling(3, 2))
    assert (both @ point).tolist() == [16, 10]
    quarter = geometry.rotation(90) @ point
    assert quarter.tolist() == pytest.approx([-5, 2])


@pytest.mark.parametrize("degrees", [0, 12, 44, 170])
@pytest.mark.parametrize("nearest", [True, False])
def test_the_rectangle_holds_all_that_is_needed(degrees, nearest):
    matrix, size = turned(degrees, 0.5), (16, 16)
    y0, y1, x0, x1 = box = geometry.source_rectangle(matrix, size, GREY.shape)
    inside = geometry.compose(geometry.translation(-x0, -y0), matrix)
    whole = geometry.warp(GREY, matrix, size, nearest=nearest)
    part = geometry.warp(np.ascontiguousarray(GREY[y0:y1, x0:x1]), inside, size, nearest=nearest)
    assert np.abs(whole.astype(int) - part).max() <= (0 if nearest else 1)
    assert all(type(edge) is int for edge in box)


def test_a_rectangle_outside_is_never_empty():
    y0, y1, x0, x1 = geometry.source_rectangle(geometry.translation(500, -500), (4, 4), (20, 26))
    assert 0 <= y0 < y1 <= 20
    assert 0 <= x0 < x1 <= 26


@pytest.mark.parametrize("elastic", [False, True])
@pytest.mark.parametrize("classes", [3, 29])
def test_one_warp_moves_all_classes(classes, elastic):
    dense = RNG.random((classes, 20, 26)) < 0.4
    planes = PackedMask.from_dense(dense).planes
    field = (RNG.random((16, 16, 2)).astype(np.float32) - 0.5) * 4 if elastic else None
    packed = geometry.warp(planes, turned(), (16, 16), field, nearest=True)
    moved = PackedMask(packed, classes).dense()
    for index in range(classes):
        alone = geometry.warp(
            dense[index].astype(np.uint8), turned(), (16, 16), field, nearest=True
        )
        assert np.array_equal(moved[index], alone.astype(bool))


def test_a_displacement_of_nothing_changes_nothing():
    nothing = np.zeros((16, 16, 2), np.float32)
    plain = geometry.warp(GREY, turned(), (16, 16))
    mapped = geometry.warp(GREY, turned(), (16, 16), nothing)
    assert np.abs(plain.astype(int) - mapped).max() <= 255 / 16


def test_a_displacement_is_in_patch_pixels():
    field = np.zeros((6, 6, 2), np.float32)
    field[..., 0], field[..., 1] = 2, 1
    moved = geometry.warp(GREY, geometry.scaling(2, 2), (6, 6), field, nearest=False)
    plain = geometry.warp(GREY, geometry.scaling(2, 2), (8, 8))
    assert np.abs(moved.astype(int) - plain[1:7, 2:8]).max() <= 1
