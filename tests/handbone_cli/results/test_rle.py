from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.results import rle


def naive(plane):
    """The winners' way: the whole plane, padded, where neighbours differ."""
    flat = np.concatenate([[0], plane.ravel().astype(np.uint8), [0]])
    edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    edges[1::2] -= edges[0::2]
    return " ".join(str(edge) for edge in edges)


def random_planes(seed):
    """Noise, a box with noise, rows over the full width, empty, full, corners, single pixels."""
    draw = np.random.default_rng(seed)
    height, width = (int(side) for side in draw.integers(1, 24, 2))
    planes = np.zeros((11, height, width), bool)
    planes[0] = draw.random((height, width)) < 0.5
    planes[1] = True
    y, x = draw.integers(0, height), draw.integers(0, width)
    planes[3, y, x] = True
    planes[4, y:, x:] = draw.random((height - y, width - x)) < 0.7
    planes[5, y:, :] = True
    planes[6, y, :] = True
    planes[7, 0, 0] = planes[7, -1, -1] = True
    planes[8, :, 0] = planes[8, :, -1] = True
    planes[9, -1, -1] = True
    planes[10] = draw.random((height, width)) < 0.95
    return planes


@pytest.mark.parametrize("seed", range(40))
def test_the_rle_is_that_of_the_whole_plane_and_comes_back(seed):
    planes = random_planes(seed)
    mask = PackedMask.from_dense(planes)
    texts = rle.encode_all(mask)
    assert texts == [naive(plane) for plane in planes]
    again = PackedMask.empty(mask.size, mask.classes)
    for index, text in enumerate(texts):
        rle.add(again, index, text)
    assert np.array_equal(again.planes, mask.planes)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_images_of_one_row_or_column(shape):
    plane = np.zeros(shape, bool)
    plane.flat[::2] = True
    assert rle.encode_all(PackedMask.from_dense(plane[None])) == [naive(plane)]


def test_pixels_are_counted_from_one_row_by_row():
    plane = np.zeros((3, 4), bool)
    plane[0, 0] = plane[1, 1:3] = True
    assert rle.encode(PackedMask.from_dense(plane[None]), 0) == "1 1 6 2"


def test_a_run_goes_on_in_the_next_row():
    plane = np.zeros((3, 4), bool)
    plane[0, 3] = plane[1, 0] = True
    assert rle.encode(PackedMask.from_dense(plane[None]), 0) == "4 2"


def test_any_box_that_holds_the_class_will_do():
    plane = np.zeros((6, 7), bool)
    plane[2:4, 3:5] = True
    mask = PackedMask.from_dense(plane[None])
    expected = rle.encode(mask, 0)
    assert [rle.encode(mask, 0, box) for box in [(0, 6, 0, 7), (1, 5, 2, 7)]] == [expected] * 2


def test_nothing_is_an_empty_text():
    mask = PackedMask.empty((4, 5), 3)
    assert rle.encode_all(mask) == ["", "", ""]
    assert rle.encode(mask, 1) == ""
    assert rle.decode("  ", (4, 5)).shape == (0, 2)


def test_runs_are_half_open_and_counted_from_zero():
    assert rle.decode("1 2 6 1", (2, 3)).tolist() == [[0, 2], [5, 6]]


def test_runs_may_touch():
    mask = PackedMask.empty((2, 3), 1)
    rle.add(mask, 0, "1 2 3 2")
    assert rle.encode(mask, 0) == "1 4"


def test_classes_are_added_to_what_is_there():
    mask = PackedMask.empty((2, 3), 9)
    rle.add(mask, 8, "1 3")
    rle.add(mask, 0, "2 3")
    rle.add(mask, 8, "6 1")
    assert rle.encode_all(mask) == ["2 3", *[""] * 7, "1 3 6 1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", "the RLE has 3 numbers, an odd count; expected pairs."),
        ("1 x", "the RLE holds 'x', which is no whole number."),
        ("1 2.0", "the RLE holds '2.0', which is no whole number."),
        ("1_0 2", "the RLE holds '1_0', which is no whole number."),
        ("\u0661 2", "the RLE holds '\u0661', which is no whole number."),
        ("nan", "the RLE holds 'nan', which is no whole number."),
        ("0 2", "a run starts at 0; pixels are counted from 1."),
        ("-3 2", "a run starts at -3; pixels are counted from 1."),
        ("3 0", "a run is 0 pixels long; expected at least 1."),
        ("1 2 2 1", "the run at 2 overlaps the one before it (at 1)."),
        ("5 2 1 2", "the run at 1 comes after a later one (at 5)."),
        ("20 2", "the run of 2 pixels at 20 goes beyond the image of 4 x 5 = 20 pixels."),
        ("21 1", "the run of 1 pixels at 21 goes beyond the image of 4 x 5 = 20 pixels."),
        (
            f"2 {2**63 - 1}",
            f"the run of {2**63 - 1} pixels at 2 goes beyond the image of 4 x 5 = 20 pixels.",
        ),
        (f"1 {2**70}", "a number of the RLE is larger than any image."),
        ("1 " + "9" * 5000, f"the RLE holds '{'9' * 20}', which is no whole number."),
    ],
)
def test_what_is_no_rle(text, message):
    with pytest.raises(ValueError) as caught:
        rle.decode(text, (4, 5))
    assert str(caught.value) == message
