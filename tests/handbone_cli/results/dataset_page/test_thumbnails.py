from __future__ import annotations

import base64

import cv2
import numpy as np
import pytest

from handbone_cli.results.dataset_page.thumbnails import SIDE, thumbnail

RED, GREY = (250, 30, 30), 90


def square(x, y, side):
    return np.array([(x, y), (x + side, y), (x + side, y + side), (x, y + side)], np.float32)


def draw(outlines, size=(400, 300), index=0):
    grey = np.full(size, GREY, np.uint8)
    grey[::2] = GREY + 40
    uri = thumbnail(grey, outlines, index, RED)
    head, content = uri.split(",")
    assert head == "data:image/jpeg;base64"
    picture = cv2.imdecode(np.frombuffer(base64.b64decode(content), np.uint8), cv2.IMREAD_COLOR)
    return picture[:, :, ::-1].astype(int)


def red(picture):
    return (picture[..., 0] > 150) & (picture[..., 1] < 110) & (picture[..., 2] < 110)


def test_the_bone_is_outlined_in_the_middle_with_room_around():
    picture = draw({0: [square(130, 180, 40)], 1: [square(150, 150, 40)]})
    assert picture.shape == (SIDE, SIDE, 3)
    ys, xs = np.nonzero(red(picture))
    assert ys.mean() == pytest.approx(SIDE / 2, abs=12)
    assert xs.mean() == pytest.approx(SIDE / 2, abs=12)
    assert 0.35 * SIDE < np.ptp(xs) < 0.65 * SIDE


@pytest.mark.parametrize("corner", [(0, 0), (280, 0), (0, 380), (280, 380), (330, 420)])
def test_at_the_border_the_picture_stays_inside_the_image(corner):
    picture = draw({0: [square(*corner, 15)]})
    assert max(picture.shape[:2]) == SIDE
    assert corner == (330, 420) or red(picture).any()


def test_a_bone_larger_than_the_image_fits():
    picture = draw({0: [square(2, 2, 290)]}, size=(300, 300))
    assert picture.shape == (SIDE, SIDE, 3)
    assert red(picture).any()
