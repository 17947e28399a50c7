from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.store.axes import AXES, classes_first

PATH = Path("maps.npy")
CUBE = np.arange(3 * 5 * 7).reshape(3, 5, 7)


@pytest.mark.parametrize("order", AXES)
def test_every_order_that_is_said(order):
    array = np.transpose(CUBE, ["CHW".index(axis) for axis in order])
    found = classes_first(PATH, array, {3}, axes=order)
    assert np.array_equal(found, CUBE)
    assert np.shares_memory(found, CUBE)


@pytest.mark.parametrize("size", [None, (5, 7)])
@pytest.mark.parametrize(
    "array",
    [
        CUBE,
        np.moveaxis(CUBE, 0, -1),
        CUBE[:, None],
        CUBE[None],
        CUBE[None, :, None],
        CUBE[..., None],
    ],
)
def test_the_count_of_classes_tells_the_order(array, size):
    assert np.array_equal(classes_first(PATH, array, {3}, size), CUBE)


def test_one_class_needs_no_axis():
    assert np.array_equal(classes_first(PATH, CUBE[0], {1}), CUBE[:1])
    assert np.array_equal(classes_first(PATH, CUBE[:1, None], {1}), CUBE[:1])


def test_one_channel_more():
    assert np.array_equal(classes_first(PATH, CUBE, {2, 3}), CUBE)


SQUARE = np.zeros((3, 5, 3))


def test_the_size_of_the_image_tells_two_orders_apart():
    assert classes_first(PATH, SQUARE, {3}, (5, 3)).shape == (3, 5, 3)
    assert classes_first(PATH, SQUARE, {3}, (3, 5)).strides == SQUARE.transpose(2, 0, 1).strides


@pytest.mark.parametrize(
    ("array", "named", "said"),
    [
        (SQUARE, {}, "an array of 3 x 5 x 3 may be CHW or HWC; say which with --axes."),
        (CUBE, {"channels": {4}}, "an array of 3 x 5 x 7; expected 4 classes, as CHW or HWC."),
        (
            CUBE,
            {"channels": {29, 30}},
            "an array of 3 x 5 x 7; expected 29 or 30 classes, as CHW or HWC.",
        ),
        (CUBE, {"axes": "HWC"}, "an array of 3 x 5 x 7; expected 3 classes, as HWC."),
        (CUBE, {"size": (5, 8)}, "5 x 7 pixels, and its image has 5 x 8."),
        (
            CUBE,
            {"size": (7, 5)},
            "5 x 7 pixels, and its image has 7 x 5; its axes may be CWH (--axes).",
        ),
        (CUBE[0], {}, "an array of 5 x 7; expected three axes."),
        (np.zeros((3, 2, 5, 7)), {}, "an array of 3 x 2 x 5 x 7; expected three axes."),
        (np.zeros(()), {}, "an array of no axis; expected three axes."),
    ],
)
def test_what_fits_nothing_or_more_than_one_order(array, named, said):
    with pytest.raises(HandboneError) as caught:
        classes_first(PATH, array, **{"channels": {3}, **named})
    assert str(caught.value) == f"maps.npy: {said}"
