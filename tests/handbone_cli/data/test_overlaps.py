from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from handbone_cli.data.overlaps import bone_groups, class_overlaps, shared_areas
from handbone_cli.masks import PackedMask


def mask_of(*boxes, size=(20, 30), classes=9):
    dense = np.zeros((classes, *size), bool)
    for index, (y0, y1, x0, x1) in boxes:
        dense[index, y0:y1, x0:x1] = True
    return PackedMask.from_dense(dense)


def test_shared_pixels_of_any_two():
    mask = mask_of((0, (0, 10, 0, 10)), (8, (5, 20, 8, 30)), (3, (0, 2, 25, 30)))
    expected = np.zeros((9, 9), int)
    expected[0, 8] = expected[8, 0] = 5 * 2
    assert np.array_equal(shared_areas(mask), expected)
    rng = np.random.default_rng(1)
    dense = rng.random((5, 12, 13)) < 0.3
    flat = dense.reshape(5, -1).astype(int)
    products = flat @ flat.T
    np.fill_diagonal(products, 0)
    assert np.array_equal(shared_areas(PackedMask.from_dense(dense)), products)


def test_mean_share_of_images_of_any_size_from_masks_and_outlines():
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.float32)
    labels = [
        mask_of((0, (0, 10, 0, 10)), (1, (0, 10, 5, 10))),
        {0: [square], 1: [square + 5]},
        {0: [square]},
    ]
    sizes = [(20, 30), (40, 40), (40, 40)]
    frames = [SimpleNamespace(size=size) for size in sizes]
    images = SimpleNamespace(frame=lambda n: frames[n], labels=lambda n: labels[n])
    shares = class_overlaps([0, 1, 2], images, 9)
    assert shares[0, 1] == pytest.approx((50 / 600 + 25 / 1600 + 0) / 3)
    assert shares[1, 0] == shares[0, 1]
    assert shares.sum() == pytest.approx(2 * shares[0, 1])


def test_groups_of_images_of_any_size_from_masks_and_outlines():
    """Class 8 has 60 pixels of a large image, class 2 has 40 of a small one."""
    square = np.array([[0, 0], [9, 0], [9, 9], [0, 9]], np.float32)
    low = np.array([[20, 20], [29, 20], [29, 25], [20, 25]], np.float32)
    labels = [
        mask_of((0, (0, 10, 0, 10)), (1, (0, 10, 5, 15)), (2, (0, 8, 20, 25))),
        {0: [square], 1: [square + np.array([4, 0], np.float32)], 8: [low]},
    ]
    frames = [SimpleNamespace(size=size) for size in [(20, 30), (40, 40)]]
    images = SimpleNamespace(frame=lambda n: frames[n], labels=lambda n: labels[n])
    groups = bone_groups([0, 1], images, 9)
    assert groups.small == (8,)
    assert groups.pairs == ((0, 1),)
