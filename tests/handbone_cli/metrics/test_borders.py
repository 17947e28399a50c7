from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.metrics.borders import boundary, boundary_width, contour_elements, edge_pixels

RING = np.array([[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0], [0, 1, 1, 1, 0]], bool)


def test_edge_pixels_have_a_neighbour_outside_and_the_end_of_the_array_is_outside():
    expected = RING.copy()
    expected[2, 2] = False
    assert np.array_equal(edge_pixels(RING).places, expected)
    assert edge_pixels(RING).lengths is None
    assert edge_pixels(np.ones((1, 3), bool)).places.all()


def test_a_diagonal_neighbour_is_none():
    mask = np.ones((5, 5), bool)
    mask[0, 0] = False
    assert not edge_pixels(mask).places[1, 1]
    assert edge_pixels(mask).places[0, 1]


def test_lengths_of_a_contour():
    """A rectangle of 3 x 3 px has 8 straight elements and 4 corners cut off."""
    border = contour_elements(RING, (1.0, 1.0))
    assert border.places.shape == (5, 6)
    assert border.lengths.sum() == pytest.approx(8 + 4 * np.sqrt(2) / 2)
    wide = contour_elements(RING, (1.0, 3.0)).lengths.sum()
    assert wide == pytest.approx(4 * 1 + 4 * 3 + 4 * np.sqrt(10) / 2)


def test_two_pixels_corner_to_corner():
    border = contour_elements(np.eye(2, dtype=bool), (1.0, 1.0))
    assert border.lengths.sum() == pytest.approx(6 * np.sqrt(2) / 2 + 2 * np.sqrt(2) / 2)


def published(mask, width):
    """Cheng et al. 2021: the image with a frame of zeros, eroded so many times, cut, subtracted."""
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    for _ in range(width):
        framed = cv2.erode(framed, np.ones((3, 3), np.uint8))
    return (mask - framed[1:-1, 1:-1]).astype(bool)


@pytest.mark.parametrize("width", [1, 3, 40])
def test_the_boundary_of_a_box_is_that_of_the_whole_image(width):
    rng = np.random.default_rng(width)
    mask = cv2.GaussianBlur(rng.random((90, 70)), (0, 0), 6) > 0.5
    mask[:, :8] = mask[:, 60:] = False
    expected = published(mask, width)
    assert np.array_equal(boundary(mask, width), expected)
    assert np.array_equal(boundary(mask[:, 8:60], width), expected[:, 8:60])


def test_the_width_is_a_share_of_the_diagonal():
    assert boundary_width((2048, 2048), 0.005) == 14
    assert boundary_width((480, 640), 0.02) == 16
    assert boundary_width((20, 20), 0.005) == 1
