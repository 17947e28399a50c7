from __future__ import annotations

import numpy as np
import pytest

from handbone_cli import PackedMask
from handbone_datasets.coco_masks import Segmentation, decode_counts


def fill(value, size, classes=9):
    mask = PackedMask.empty(size, classes)
    Segmentation.parse(value).fill(mask, classes - 1)
    assert not mask.dense()[:-1].any()
    return mask.dense()[-1]


def encode_counts(counts):
    """The text of run lengths, as the specification says: the other way round."""
    text = ""
    for place, count in enumerate(counts):
        number = count - counts[place - 2] if place > 2 else count
        more = True
        while more:
            bits, number = number & 31, number >> 5
            more = number != (-1 if bits & 16 else 0)
            text += chr(48 + bits + 32 * more)
    return text


def runs(mask):
    flat = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(np.concatenate([[0], edges])).tolist()


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("seed", range(8))
def test_run_lengths(seed, text):
    rng = np.random.default_rng(seed)
    size = tuple(rng.integers(1, 300, 2).tolist())
    mask = rng.random(size) < (0, 0.001, 0.02, 0.5, 0.99, 1)[seed % 6]
    if seed > 5:
        mask[: size[0] // 2] = True
    counts = runs(mask)
    value = {"size": size, "counts": encode_counts(counts) if text else counts}
    assert np.array_equal(fill(value, size), mask)


def test_an_image_that_is_all_on_or_off():
    assert fill({"size": [3, 2], "counts": [0, 6]}, (3, 2)).all()
    assert not fill({"size": [3, 2], "counts": [6]}, (3, 2)).any()
    assert not fill([], (3, 2)).any()


def test_the_text_of_run_lengths():
    counts = [0, 3, 100000, 1, 5, 1, 5, 40000, 2]
    assert decode_counts(encode_counts(counts)).tolist() == counts
    assert decode_counts("").tolist() == []


@pytest.mark.parametrize("seed", range(20))
def test_the_same_pixels_as_pycocotools(seed):
    masks = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(seed)
    for _ in range(15):
        height, width = (int(side) for side in rng.integers(1, 70, 2))
        corners = rng.uniform(-12, max(height, width) + 12, (int(rng.integers(3, 11)), 2))
        if seed % 3:
            corners = np.rint(corners * (seed % 3)) / (seed % 3)
            corners[1] = corners[0]
        value = [corners.ravel().tolist(), (corners + 9.3).ravel().tolist()]
        theirs = masks.merge(masks.frPyObjects(value, height, width))
        expected = masks.decode(theirs).astype(bool)
        assert np.array_equal(fill(value, (height, width)), expected)
        packed = {"size": theirs["size"], "counts": theirs["counts"].decode()}
        assert np.array_equal(fill(packed, (height, width)), expected)


def test_a_polygon_covers_the_pixels_inside_it():
    """From 0 to 4 in x are four columns, not five: a pixel's middle is at its index and a half."""
    filled = fill([[0, 0, 4, 0, 4, 3, 0, 3]], (6, 7))
    assert filled.sum() == 12
    assert filled[:3, :4].all()


def test_parts_overlap_without_cancelling():
    square = [1, 1, 5, 1, 5, 5, 1, 5]
    assert fill([square, square], (8, 8)).sum() == 16


@pytest.mark.parametrize("corners", [[2, 2], [2, 2, 5, 5], [2, 2, 5, 5, 2, 2]])
def test_what_has_no_inside_covers_nothing(corners):
    assert not fill([corners], (8, 8)).any()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ([[1, 2, 3]], "no list of numbers x, y"),
        ([[]], "no list of numbers x, y"),
        ([["a", 2, 3, 4, 5, 6]], "no list of numbers x, y"),
        ([[1, 2, 3, float("nan"), 5, 6]], "no list of numbers x, y"),
        ([[1, 2, 3, 1e30, 5, 6]], "no list of numbers x, y"),
        ([3], "no list of numbers x, y"),
        ("text", "neither polygons nor"),
        ({"counts": [6]}, "neither polygons nor"),
        ({"size": [2], "counts": [2]}, "neither polygons nor"),
        ({"size": [2, 3], "counts": [5]}, "do not add up to an image of 3 x 2 pixels"),
        ({"size": [2, 3], "counts": [-1, 7]}, "do not add up"),
        ({"size": [2, 3], "counts": ["x"]}, "no whole numbers"),
        ({"size": [2, 3], "counts": None}, "no whole numbers"),
        ({"size": [2, 3], "counts": "6 x"}, "its run lengths are damaged"),
        ({"size": [2, 3], "counts": "P"}, "its run lengths are damaged"),
        ({"size": [2, 3], "counts": "oooooooooooo0"}, "its run lengths are damaged"),
        ({"size": [2, 3], "counts": "ä6"}, "its run lengths are damaged|do not add up"),
    ],
)
def test_segmentations_that_are_wrong(value, words):
    with pytest.raises(ValueError, match=words):
        Segmentation.parse(value)
