from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.masks import (
    EMPTY,
    PackedMask,
    as_polygons,
    clip_box,
    grow_box,
    plane_count,
    tight_box,
    union_box,
)


def random_dense(classes, seed=0, size=(13, 17)):
    draw = np.random.default_rng(seed)
    return draw.random((classes, *size)) < draw.random((classes, 1, 1)) * 0.1


def random_polygons(seed, size):
    """Outlines of three classes, some vertices outside the image."""
    draw = np.random.default_rng(seed)
    reach = np.array([size[1], size[0]]) * 1.6
    return {
        index: [
            (draw.random((draw.integers(1, 8), 2)) * reach - reach * 0.2).astype(np.float32)
            for _ in range(2)
        ]
        for index in (0, 4, 9)
    }


@pytest.mark.parametrize("classes", [1, 7, 8, 9, 29])
def test_the_layout_is_that_of_packbits_little(classes):
    dense = random_dense(classes)
    mask = PackedMask.from_dense(dense)
    expected = np.packbits(dense.transpose(1, 2, 0), axis=-1, bitorder="little")
    assert mask.planes.shape == (13, 17, plane_count(classes))
    assert np.array_equal(mask.planes, expected)
    assert np.array_equal(mask.dense(), dense)
    assert mask.size == (13, 17)


def test_class_c_is_bit_c_and_7_of_plane_c_over_8():
    mask = PackedMask.empty((2, 3), 29)
    mask.add(13, (1, 2, 2, 3), np.ones((1, 1), bool))
    assert mask.planes[1, 2].tolist() == [0, 1 << 5, 0, 0]
    assert np.count_nonzero(mask.planes) == 1


@pytest.mark.parametrize("shape", [(4, 4), (4, 4, 3), (4, 4, 5)])
def test_planes_of_another_class_count_are_refused(shape):
    with pytest.raises(ValueError, match=r"29 classes need \(H, W, 4\) planes"):
        PackedMask(np.zeros(shape, np.uint8), 29)


def test_boxes_crops_and_areas_are_those_of_the_dense_planes():
    dense = random_dense(29, seed=3)
    dense[5] = False
    dense[6] = True
    mask = PackedMask.from_dense(dense)
    boxes = mask.boxes()
    assert boxes[5] == EMPTY
    assert boxes[6] == (0, 13, 0, 17)
    for index, box in enumerate(boxes):
        assert box == tight_box(dense[index])
        y0, y1, x0, x1 = box
        assert np.array_equal(mask.crop(index, box), dense[index, y0:y1, x0:x1])
        outside = dense[index].copy()
        outside[y0:y1, x0:x1] = False
        assert not outside.any()
    assert mask.areas().tolist() == dense.sum(axis=(1, 2)).tolist()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1), (3, 2)])
def test_boxes_of_small_images(size):
    dense = np.zeros((9, *size), bool)
    dense[8, -1, -1] = True
    boxes = PackedMask.from_dense(dense).boxes()
    assert boxes == [EMPTY] * 8 + [(size[0] - 1, size[0], size[1] - 1, size[1])]


def test_adding_leaves_other_classes_and_pixels_alone():
    dense = random_dense(10, seed=1)
    mask = PackedMask.from_dense(dense)
    crop = np.eye(4, dtype=bool)
    mask.add(9, (2, 6, 3, 7), crop)
    dense[9, 2:6, 3:7] |= crop
    assert np.array_equal(mask.dense(), dense)


@pytest.mark.parametrize("seed", range(10))
def test_polygons_are_filled_as_cv2_fills_the_whole_image(seed):
    size = (40, 50)
    polygons = random_polygons(seed, size)
    mask = PackedMask.from_polygons(polygons, size, 10)
    for index in range(10):
        plane = np.zeros(size, np.uint8)
        for outline in polygons.get(index, []):
            cv2.fillPoly(plane, [np.rint(outline).astype(np.int32)], (1,))
        assert np.array_equal(mask.crop(index, (0, 40, 0, 50)), plane != 0)


@pytest.mark.parametrize("seed", range(10))
def test_a_filled_rectangle_is_the_crop_of_the_whole(seed):
    size = (40, 50)
    polygons = random_polygons(seed, size)
    whole = PackedMask.from_polygons(polygons, size, 10)
    draw = np.random.default_rng(seed)
    for _ in range(10):
        (y0, y1), (x0, x1) = (np.sort(draw.choice(side + 1, 2, replace=False)) for side in size)
        part = PackedMask.from_polygons(polygons, size, 10, (y0, y1, x0, x1))
        assert np.array_equal(part.planes, whole.planes[y0:y1, x0:x1])


def test_a_square_includes_its_border():
    square = np.array([[2, 1], [5, 1], [5, 3], [2, 3]], np.float32)
    mask = PackedMask.from_polygons({0: [square]}, (6, 8), 1)
    assert mask.boxes() == [(1, 4, 2, 6)]
    assert mask.areas().tolist() == [12]


@pytest.mark.parametrize(
    ("box", "limits", "expected"),
    [
        ((0, 4, 0, 4), (2, 9, 1, 3), (2, 4, 1, 3)),
        ((0, 2, 0, 4), (2, 9, 0, 9), EMPTY),
        ((5, 6, 5, 6), (0, 9, 0, 5), EMPTY),
    ],
)
def test_clipping_boxes(box, limits, expected):
    assert clip_box(box, limits) == expected


def test_growing_and_joining_boxes():
    assert grow_box((3, 5, 1, 9), 2, (10, 10)) == (1, 7, 0, 10)
    assert union_box([EMPTY, (3, 4, 5, 6), (1, 2, 9, 10)]) == (1, 4, 5, 10)
    assert union_box([EMPTY, EMPTY]) == EMPTY


def test_masks_become_outlines_that_fill_back():
    polygons = {
        0: [np.array([(2, 3), (20, 3), (20, 15), (2, 15)], np.float32)],
        9: [
            np.array([(5, 5), (30, 9), (12, 28)], np.float32),
            np.array([(33, 33), (38, 33), (35, 39)], np.float32),
        ],
    }
    mask = PackedMask.from_labels(polygons, (40, 40), 10)
    back = as_polygons(mask)
    assert {index: len(outlines) for index, outlines in back.items()} == {0: 1, 9: 2}
    assert np.array_equal(PackedMask.from_polygons(back, (40, 40), 10).planes, mask.planes)
    assert as_polygons(polygons) == polygons
    assert PackedMask.from_labels(mask, (40, 40), 10, (4, 9, 2, 30)).size == (5, 28)
    with pytest.raises(ValueError, match="labels of 10 classes"):
        PackedMask.from_labels(mask, (40, 41), 10)
