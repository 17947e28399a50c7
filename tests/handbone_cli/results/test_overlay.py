from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.masks import PackedMask
from handbone_cli.results import overlay
from handbone_cli.results.overlay import draw_bones, draw_difference, draw_overlay
from handbone_cli.results.palette import BONES, colours

NAMES = ("Radius", "Ulna", "Lunate")


def hand(size):
    """Two overlapping squares, and a class that is nowhere."""
    dense = np.zeros((3, *size), bool)
    height, width = size
    dense[0, height // 4 : height // 2, width // 4 : width // 2] = True
    dense[1, height * 3 // 8 : height * 3 // 4, width * 3 // 8 : width * 3 // 4] = True
    return PackedMask.from_dense(dense)


def grey(size, value=100):
    return np.full(size, value, np.uint8)


def blend(base, colour, cover):
    return np.rint(base * (1 - cover) + np.asarray(colour, float) * cover)


def test_fills_blend_where_bones_overlap():
    size = (700, 700)
    picture = draw_overlay(grey(size), hand(size), NAMES, alpha=0.5).astype(int)
    radius, ulna, _ = colours(NAMES).astype(int)
    assert picture.shape[0] == 700
    assert (picture[10, 10] == 100).all()
    assert (picture[200, 200] == blend(100, radius, 0.5)).all()
    assert (picture[450, 450] == blend(100, ulna, 0.5)).all()
    assert (picture[300, 300] == blend(100, (radius + ulna) / 2, 0.75)).all()


def test_an_outline_runs_around_every_bone():
    size = (700, 700)
    picture = draw_overlay(grey(size), hand(size), NAMES, alpha=0.0)
    radius, ulna, _ = colours(NAMES)
    assert abs(picture[175, 250] - radius.astype(int)).max() < 35  # an anti-aliased line
    assert abs(picture[524, 400] - ulna.astype(int)).max() < 35
    assert (picture[250, 200] == 100).all()


def test_an_outline_of_a_small_image_runs_around_its_pixels():
    dense = np.zeros((1, 64, 64), bool)
    dense[0, 20:30, 20:30] = True
    picture = draw_overlay(grey((64, 64)), PackedMask.from_dense(dense), NAMES[:1], alpha=0.0)
    ys, xs = np.nonzero((picture[:640, :640] != 100).any(axis=2))
    assert [abs(int(edge) - at) <= 2 for edge, at in [(ys.min(), 200), (ys.max(), 299)]] == [1, 1]
    assert [abs(int(edge) - at) <= 2 for edge, at in [(xs.min(), 200), (xs.max(), 299)]] == [1, 1]


@pytest.mark.parametrize(
    ("size", "max_side", "panel"),
    [
        ((64, 64), 1400, (640, 640)),
        ((512, 300), 1400, (1024, 600)),
        ((900, 700), 1400, (900, 700)),
        ((1600, 800), 400, (400, 200)),
        ((100, 2570), 1400, (54, 1400)),
        ((1, 1), 1400, (640, 640)),
        ((300, 200), 320, (300, 200)),
    ],
)
def test_the_panel_of_any_image(size, max_side, panel):
    picture = draw_overlay(grey(size), hand(size), NAMES, max_side=max_side)
    assert picture.shape[0] == max(panel[0], overlay.LEAST_HEIGHT)
    assert picture.shape[1] > panel[1]
    assert (picture[panel[0] - 1, panel[1] - 1] == 100).all()


def test_the_legend_is_beside_the_image_and_grows_with_truth():
    size = (700, 700)
    plain = draw_overlay(grey(size), hand(size), NAMES)
    judged = draw_overlay(grey(size), hand(size), NAMES, truth=hand(size))
    assert (plain[:, 700:] == colours(NAMES)[0]).all(axis=2).sum() > 300
    assert judged.shape[1] > 1400 + plain.shape[1] - 700


def test_the_difference_panel_shows_what_is_missed_extra_and_the_same(monkeypatch):
    size = (700, 700)
    truth, mask = hand(size), hand(size)
    mask.planes[175:200, 175:350] = 0
    mask.add(0, (100, 150, 175, 350), np.ones((50, 175), bool))
    monkeypatch.setattr(overlay, "WIDE", 0.5)
    picture = draw_overlay(grey(size), mask, NAMES, truth=truth)
    panel = picture[700:1400, :700].astype(int)
    assert (panel[185, 250] == blend(100, overlay.MISSED, 0.92)).all()
    assert (panel[120, 250] == blend(100, overlay.EXTRA, 0.92)).all()
    assert (panel[220, 250] == blend(100, overlay.AGREEMENT, 0.28)).all()
    assert (panel[650, 650] == 100).all()


def test_a_thin_difference_does_not_fade_in_a_smaller_picture():
    size = (1600, 1600)
    truth, mask = hand(size), hand(size)
    mask.planes[400, 400:800] = 0
    frame = overlay._Frame.fit(size, 400)
    panel = overlay._difference_panel(grey(size), frame, overlay._difference(mask, truth))
    red = np.asarray(overlay.MISSED)
    assert np.abs(panel[100, 120:180].astype(int) - red).max() < 40


def test_a_wide_image_has_its_difference_below():
    size = (400, 1000)
    picture = draw_overlay(grey(size), hand(size), NAMES, truth=hand(size))
    assert picture.shape[0] == 800
    assert picture.shape[1] < 1400


def test_the_rows_of_the_legend():
    truth, mask = hand((40, 40)), hand((40, 40))
    mask.planes[:, :, 0] &= 0b11111101
    entries = overlay._bone_entries(mask, NAMES, truth)
    assert [(entry.name, entry.figure, entry.dim) for entry in entries] == [
        ("Bone", "Dice", True),
        ("Radius", "1.000", False),
        ("Ulna", "0.000", False),
        ("Lunate", "1.000", True),
        ("Mean", "0.667", False),
        ("orange", "< 0.9", True),
    ]
    assert entries[2].ink == overlay.WEAK_INK
    assert [entry.name for entry in overlay._bone_entries(truth, NAMES, truth)][-1] == "Mean"
    plain = overlay._bone_entries(mask, NAMES, None)
    assert [(entry.name, entry.dim) for entry in plain] == [
        ("Radius", False),
        ("Ulna", True),
        ("Lunate", True),
    ]


def test_the_shares_of_the_difference():
    truth, mask = PackedMask.empty((10, 10), 2), PackedMask.empty((10, 10), 2)
    truth.add(0, (0, 5, 0, 4), np.ones((5, 4), bool))
    mask.add(0, (1, 6, 0, 4), np.ones((5, 4), bool))
    figures = [entry.figure for entry in overlay._difference_entries(mask, truth)]
    assert figures == ["of truth", "80.0 %", "20.0 %", "20.0 %"]


def test_a_title_stands_above_and_a_long_one_is_cut():
    size = (64, 64)
    plain = draw_overlay(grey(size), hand(size), NAMES)
    for title in ("image17", "a very long title " * 50):
        titled = draw_overlay(grey(size), hand(size), NAMES, title=title)
        assert titled.shape[0] > plain.shape[0]
        assert np.array_equal(titled[-plain.shape[0] :], plain)


def test_29_bones_all_have_a_swatch():
    mask = PackedMask.empty((64, 64), 29)
    for index in range(29):
        mask.add(index, (index, index + 2, 5, 50), np.ones((2, 45), bool))
    legend = draw_overlay(grey((64, 64)), mask, list(BONES))[:, 640:]
    for colour in colours(list(BONES)):
        assert (legend == colour).all(axis=2).sum() >= 64


def test_an_empty_mask_leaves_the_radiograph():
    picture = draw_overlay(grey((700, 700)), PackedMask.empty((700, 700), 3), NAMES)
    assert (picture[:, :700] == 100).all()


def test_what_does_not_fit_is_refused():
    mask = hand((64, 64))
    with pytest.raises(ValueError, match="do not fit a mask"):
        draw_overlay(grey((64, 65)), mask, NAMES)
    with pytest.raises(ValueError, match="do not fit a mask"):
        draw_overlay(grey((64, 64)), mask, NAMES[:2])
    with pytest.raises(ValueError, match="does not fit a mask"):
        draw_overlay(grey((64, 64)), mask, NAMES, truth=hand((32, 64)))


def test_outlines_alone_are_those_of_no_cover():
    size = (700, 700)
    thin = draw_bones(grey(size), hand(size), NAMES, alpha=1e-9)
    assert (draw_bones(grey(size), hand(size), NAMES, alpha=0.0) == thin).all()
    assert (thin != 100).any()


def test_the_difference_alone_is_the_second_panel():
    size, truth = (700, 700), hand((700, 700))
    mask = PackedMask(np.roll(truth.planes, 30, axis=1), truth.classes)
    whole = draw_overlay(grey(size), mask, NAMES, truth=truth)
    alone = draw_difference(grey(size), mask, truth)
    starts = [x for x in range(whole.shape[1] - 699) if (whole[:, x : x + 700] == alone).all()]
    assert len(starts) == 1
    assert starts[0] >= 700
