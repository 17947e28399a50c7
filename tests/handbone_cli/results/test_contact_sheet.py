from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.results.contact_sheet import contact_sheet
from handbone_cli.results.pictures import BACKGROUND

RED = (200, 0, 0)


def tile(height, width):
    return np.full((height, width, 3), RED, np.uint8)


def red_box(sheet):
    ys, xs = np.nonzero((sheet == RED).all(axis=2))
    return ys.min(), ys.max() + 1, xs.min(), xs.max() + 1


@pytest.mark.parametrize(
    ("size", "drawn"),
    [((50, 50), (100, 100)), ((400, 200), (100, 50)), ((30, 300), (10, 100)), ((1, 900), (1, 100))],
)
def test_a_tile_is_scaled_whole_and_centred(size, drawn):
    sheet = contact_sheet([("name", tile(*size))], 3, 100)
    y0, y1, x0, x1 = red_box(sheet)
    assert (y1 - y0, x1 - x0) == drawn
    assert abs((x0 + x1) - sheet.shape[1]) <= 1
    assert abs((y0 + y1) / 2 - 52) <= 1


def test_tiles_stand_row_by_row():
    sheet = contact_sheet(((str(number), tile(80, 80)) for number in range(7)), 3, 80)
    one = contact_sheet([("x", tile(80, 80))], 3, 80)
    assert (sheet == RED).all(axis=2).sum() == 7 * 6400
    assert sheet.shape[0] > 2.8 * one.shape[0]
    assert sheet.shape[1] == 3 * one.shape[1] - 2 * 2
    assert not (sheet[-90:, 90:] == RED).all(axis=2).any()


def test_a_caption_is_below_and_stays_in_its_column():
    sheet = contact_sheet([("a caption far too long for its tile", tile(100, 100))] * 2, 2, 100)
    below = (sheet[104:] != BACKGROUND).any(axis=2)
    assert below.any()
    assert not below[:, [0, 1, -1, -2]].any()


def test_no_tile_is_an_empty_sheet():
    sheet = contact_sheet([], 4, 100)
    assert (sheet == BACKGROUND).all()
    assert sheet.size


def test_impossible_sheets_are_refused():
    with pytest.raises(ValueError, match="expected at least 1"):
        contact_sheet([], 0, 100)
