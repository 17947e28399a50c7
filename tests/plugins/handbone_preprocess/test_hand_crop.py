from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.testing.conformance import check_preprocessor
from handbone_preprocess.hand_crop import HandCropOptions, build, find_hand


def film(size=(300, 240), box=(60, 300, 70, 170), bars=False):
    image = np.random.default_rng(3).normal(20, 4, size)
    y0, y1, x0, x1 = box
    cv2.ellipse(
        image,
        ((x0 + x1) // 2, (y0 + y1) // 2),
        ((x1 - x0) // 2, (y1 - y0) // 2),
        0,
        0,
        360,
        150,
        -1,
    )
    if bars:
        image[:, :12] = 255
    return np.clip(image, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("bars", [False, True])
def test_the_hand_is_found(bars):
    found = find_hand(film(bars=bars), 0.05)
    assert np.abs(np.subtract(found, (60, 300, 70, 170))).max() <= 6


def test_a_margin_stays_and_the_pixels_are_those_of_the_image():
    image = film()
    cut, (y0, y1, x0, x1) = build(HandCropOptions(margin=0.1), None)(image)
    assert np.array_equal(cut, image[y0:y1, x0:x1])
    assert np.abs(np.subtract((y0, y1, x0, x1), (30, 300, 40, 200))).max() <= 6
    colours = np.stack([image, 255 - image], axis=2)
    assert build(HandCropOptions(margin=0.1), None)(colours)[1] == (y0, y1, x0, x1)


@pytest.mark.parametrize("image", [np.zeros((50, 60), np.uint8), np.full((50, 60), 90, np.uint8)])
def test_where_no_hand_is_the_image_stays_whole(image):
    cut, box = build(HandCropOptions(), None)(image)
    assert (cut.shape, box) == ((50, 60), (0, 50, 0, 60))


def test_a_speck_is_no_hand():
    assert find_hand(film(box=(100, 112, 100, 112)), 0.05) is None


def test_conformance():
    check_preprocessor(build(HandCropOptions(), None))
