from __future__ import annotations

from dataclasses import replace

import numpy as np

from handbone_cli.data.measurements.image import GRID, SHIFT, Measurement
from handbone_cli.data.measurements.totals import Totals
from handbone_cli.dataset_figures import ImageFigures


def measured(areas, overlaps=None, grey=((0, 4), (1, 2), (2, 2)), outlines=None, *, bent=False):
    histogram = np.zeros((3, 256), np.int64)
    for kind, (value, count) in enumerate(grey):
        histogram[kind, value] = count
    figures = ImageFigures(
        "x", "p", "train", (9, 9), 8, np.array(areas), np.zeros((len(areas), 2)), bent=bent
    )
    return Measurement(figures, (), overlaps or {}, histogram, outlines or {})


def square(half):
    points = np.array([(-half, -half), (half, -half), (half, half), (-half, half)])
    return np.asarray(points * (2**SHIFT), np.int16)


def test_pairs_count_only_where_both_are_there():
    totals = Totals(3)
    totals.add(measured((5, 5, 5), {(0, 1): 0.5}))
    totals.add(measured((5, 5, 0), {(0, 1): 0.3, (0, 2): 0.0}))
    totals.add(measured((5, 5, 0)))
    totals.add(measured((5, 0, 0)))
    found = totals.overlaps()
    assert found.together.tolist() == [[4, 3, 1], [3, 3, 1], [1, 1, 1]]
    assert found.sharing[0, 1] == found.sharing[1, 0] == 2
    np.testing.assert_allclose(found.iou[0, 1], 0.8 / 3)
    np.testing.assert_allclose(found.frequency[0, 1], 2 / 3)
    assert np.array_equal(np.diag(found.iou), [1, 1, 1])


def test_a_pair_never_seen_is_nan():
    totals = Totals(2)
    totals.add(measured((5, 0)))
    assert np.isnan(totals.overlaps().iou[0, 1])
    assert np.isnan(totals.overlaps().frequency[1, 1])


def test_every_image_weighs_the_same_in_grey_values():
    totals = Totals(1)
    totals.add(measured((5,), grey=((10, 100), (50, 1), (60, 0))))
    totals.add(measured((5,), grey=((20, 1), (50, 3), (60, 7))))
    found = totals.grey()
    assert (found.shares[0, 10], found.shares[0, 20]) == (0.5, 0.5)
    assert found.images.tolist() == [2, 2, 1]
    np.testing.assert_allclose(found.shares.sum(axis=1), 1)


def test_the_mean_outline_is_what_half_of_them_cover():
    totals = Totals(2)
    for half in (20, 40, 60):
        totals.add(measured((5, 0), outlines={0: square(half)}))
    (outline,) = totals.outlines().values()
    np.testing.assert_allclose(np.abs(outline).max(axis=0), 40 / GRID, atol=1 / GRID)
    np.testing.assert_allclose(outline.min(axis=0), -outline.max(axis=0), atol=1 / GRID)


def test_bent_wrists_shape_the_mean_outline_only_where_there_are_no_others():
    totals = Totals(1)
    totals.add(measured((5,), outlines={0: square(60)}, bent=True))
    assert np.abs(totals.outlines()[0]).max() > 55 / GRID
    totals.add(measured((5,), outlines={0: square(20)}))
    assert np.abs(totals.outlines()[0]).max() < 25 / GRID


def test_what_could_not_be_read_adds_nothing():
    totals = Totals(1)
    totals.add(Measurement(None, ("broken",)))
    bare = replace(measured((5,)).figures, areas=None)
    totals.add(Measurement(bare))
    assert totals.overlaps().together[0, 0] == 0
    assert totals.outlines() == {}
