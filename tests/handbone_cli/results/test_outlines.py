from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.results.outlines import exact_outlines


def filled(outlines, size):
    """What whoever reads the outlines as labels gets."""
    points = [np.asarray(outline, np.float32) for outline in outlines]
    return PackedMask.from_polygons({0: points}, size, 1).dense()[0]


def drawn(rows):
    return np.array([[character == "#" for character in row] for row in rows])


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 1.0])
def test_any_mask_comes_back_to_the_pixel(share):
    """Also noise: specks of a pixel, diagonal chains, holes in holes, the image's border."""
    draw = np.random.default_rng(int(100 * share))
    for _ in range(60):
        size = tuple(draw.integers(1, 24, 2))
        dense = draw.random((1, *size)) < share
        outlines = exact_outlines(PackedMask.from_dense(dense), 0)
        assert all(len(outline) >= 3 for outline in outlines)
        assert np.array_equal(filled(outlines, size), dense[0])


@pytest.mark.parametrize("share", [0.45, 0.5, 0.55])
def test_blobs_with_holes_come_back(share):
    import cv2

    draw = np.random.default_rng(4)
    for _ in range(20):
        rough = draw.random((60, 70)).astype(np.float32)
        dense = cv2.GaussianBlur(rough, (0, 0), 2.0) > np.quantile(
            cv2.GaussianBlur(rough, (0, 0), 2.0), 1 - share
        )
        outlines = exact_outlines(PackedMask.from_dense(dense[None]), 0)
        assert np.array_equal(filled(outlines, (60, 70)), dense)


def test_a_part_is_cut_only_where_it_has_a_hole():
    whole = drawn(["....", ".##.", ".##.", "...."])
    ring = drawn(["#####", "#.#.#", "#####", ".....", ".###."])
    for dense, pieces in ((whole, 1), (ring, 3)):
        outlines = exact_outlines(PackedMask.from_dense(dense[None]), 0)
        assert len(outlines) == pieces
    assert exact_outlines(PackedMask.empty((4, 4), 1), 0) == []


def test_of_several_classes_the_one_asked_for():
    dense = np.zeros((9, 20, 30), np.bool_)
    dense[3, 2:9, 4:11] = dense[8, 5:15, 6:29] = True
    mask = PackedMask.from_dense(dense)
    assert np.array_equal(filled(exact_outlines(mask, 8), (20, 30)), dense[8])
    assert exact_outlines(mask, 0) == []
