from __future__ import annotations

import numpy as np

from handbone_cli.data.audit.labelled_image import LabelledImage, shared
from handbone_cli.host.interfaces import Sample
from handbone_cli.masks import EMPTY, PackedMask


def square(x, y, side):
    return np.array([[x, y], [x + side, y], [x + side, y + side], [x, y + side]], np.float32)


def read(labels, names=("a", "b")):
    sample = Sample("image1", "ID001", lambda: None)
    return LabelledImage.from_labels(sample, labels, (100, 100), names)


def test_the_largest_part_comes_first_and_specks_are_left_out():
    image = read({0: [square(0, 0, 2), square(50, 50, 40), square(0, 50, 20)]})
    assert [len(parts) for parts in image.parts.values()] == [2]
    np.testing.assert_array_equal(image.main[0], square(50, 50, 40))
    np.testing.assert_array_equal(image.parts[0][1], square(0, 50, 20))


def test_masks_are_as_good_as_outlines():
    image = read(PackedMask.from_polygons({1: [square(10, 20, 30)]}, (100, 100), 2))
    assert list(image.main) == [1]
    assert image.box(["b"]) == (20, 51, 10, 41)


def test_boxes_hold_all_parts_and_stay_inside():
    image = read({0: [square(90, 90, 40), square(0, 5, 20)]})
    assert image.box(["a"]) == (5, 100, 0, 100)
    assert image.box(["b"]) == EMPTY
    finding = image.finding("ring", ["a"], 1.0, "Says.")
    assert (finding.image_id, finding.person, finding.box) == ("image1", "ID001", (5, 100, 0, 100))


def test_renamed_outlines_keep_what_is_not_named():
    image = read({0: [square(0, 0, 10)], 1: [square(50, 50, 10)]}).renamed({0: 1, 1: 0})
    np.testing.assert_array_equal(image.main[1], square(0, 0, 10))
    assert image.class_names == ("a", "b")


def test_what_two_outlines_share():
    assert shared(square(0, 0, 10), square(50, 50, 10)) == (0.0, 0.0)
    iou, smaller = shared(square(0, 0, 39), square(20, 0, 19))
    assert abs(iou - 400 / 1600) < 1e-9
    assert smaller == 1.0
    large = shared(square(0, 0, 4000), square(2000, 0, 4000))
    np.testing.assert_allclose(large, (1 / 3, 1 / 2), atol=0.01)
