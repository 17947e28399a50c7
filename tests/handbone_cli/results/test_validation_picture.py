from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.results.overlay import AGREEMENT, EXTRA, MISSED
from handbone_cli.results.palette import colours
from handbone_cli.results.validation_picture import GAP, SIDE, STRIP, draw_validation
from handbone_cli.scores import dice_per_class

NAMES = ("Radius", "Ulna", "Lunate", "Capitate", "Hamate", "Scaphoid", "Pisiform")


def squares(size, shift=0):
    """Every class a square of 80 px in rows of their own, moved to the right."""
    mask = PackedMask.empty(size, len(NAMES))
    for index in range(len(NAMES)):
        y, x = 20 + 110 * index, 60 + shift
        mask.add(index, (y, y + 80, x, x + 80), np.ones((80, 80), bool))
    return mask


def draw(size, shift=0, title="image1   epoch 3"):
    grey = np.full(size, 90, np.uint8)
    truth, predicted = squares(size), squares(size, shift)
    dice = dice_per_class(predicted, truth)
    return draw_validation(grey, predicted, truth, NAMES, dice, title=title)


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((1016, 1016), (508 + 2 * STRIP, SIDE)),
        ((2000, 600), (SIDE, 2 * 289 + GAP)),
        ((800, 2400), (2 * 341 + GAP + 2 * STRIP, SIDE)),
        ((2400, 200), (SIDE, SIDE // 2)),
    ],
)
def test_it_is_as_large_as_its_side_allows(size, shape):
    rgb = draw(size)
    assert rgb.dtype == np.uint8
    assert rgb.shape == (*shape, 3)


def test_predicted_outlines_at_the_left_and_what_is_wrong_at_the_right():
    panels = draw((1016, 1016), shift=40)[STRIP:-STRIP].astype(int)  # half as large
    left, right = panels[:, :508], panels[:, 508 + GAP :]
    assert left[30, 70].tolist() == [90, 90, 90]  # the film shows through a bone
    own = colours(NAMES)[0].astype(int)
    assert np.abs(left[30, 45:55] - own).sum(axis=1).min() < 60  # its outline has its colour
    for x, (ink, cover) in ((40, (MISSED, 0.92)), (80, (EXTRA, 0.92)), (60, (AGREEMENT, 0.28))):
        expected = np.full(3, 90.0) + cover * (np.array(ink) - 90.0)
        assert np.abs(right[30, x] - expected).max() <= 1
    assert right[30, 200].tolist() == [90, 90, 90]


def test_words_stand_above_and_below_and_worse_bones_change_them():
    good, bad = draw((1016, 1016)), draw((1016, 1016), shift=10)
    for part in (slice(0, STRIP), slice(-STRIP, None)):
        assert np.ptp(good[part]) > 100  # there is something
        assert (good[part] != bad[part]).any()


def test_a_title_of_any_length_fits():
    long, short = draw((1016, 1016), title="x" * 500), draw((1016, 1016), title="x")
    assert long.shape == short.shape
    assert (long[:STRIP, 645:] == short[:STRIP, 645:]).all()  # the mean Dice is still there
    assert draw((2400, 200), title="x" * 500).shape == (SIDE, SIDE // 2, 3)


def test_nothing_predicted_of_one_class():
    size = (60, 60)
    empty = PackedMask.empty(size, 1)
    rgb = draw_validation(np.zeros(size, np.uint8), empty, empty, ["Ulna"], np.ones(1), title="")
    assert max(rgb.shape[:2]) <= SIDE
