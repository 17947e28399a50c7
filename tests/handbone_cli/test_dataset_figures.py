from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.dataset_figures import (
    DatasetFigures,
    GreyFigures,
    ImageFigures,
    Outlier,
    OverlapFigures,
    hand_points,
)


def image(areas=(10, 0), size=(100, 200), **more):
    centroids = np.array([(149.5, 24.5), (np.nan, np.nan)])
    areas = None if areas is None else np.array(areas)
    return ImageFigures("x", "p", "train", size, 8, areas, centroids, **more)


def figures(*images):
    return DatasetFigures("d", ("a", "b"), images, None, None, {}, None, (), ())


def test_hand_points_are_from_the_middle_and_left_hands_mirrored():
    assert hand_points(image())[0].tolist() == [0.25, -0.125]
    assert hand_points(image(side="left"))[0].tolist() == [-0.25, -0.125]
    assert np.isnan(hand_points(image())[1]).all()


def test_areas_and_shares_of_labelled_images_alone():
    found = figures(image(), image(None), image((20, 30), (50, 100)))
    np.testing.assert_array_equal(found.areas, [(10, np.nan), (20, 30)])
    np.testing.assert_allclose(found.shares, [(10 / 20000, np.nan), (20 / 5000, 30 / 5000)])
    assert found.hand_centroids.shape == (2, 2, 2)
    assert found.sizes == {(100, 200): 2, (50, 100): 1}


def test_the_usual_images_are_the_straight_ones():
    assert figures(image(), image(bent=True), image()).usual.tolist() == [True, False, True]
    assert figures(image(bent=True)).usual.tolist() == [True]


def test_frequency_is_of_the_images_with_both():
    together = np.array([[4, 3], [3, 3]])
    found = OverlapFigures(together, np.array([[4, 2], [2, 3]]), np.ones((2, 2))).frequency
    np.testing.assert_allclose(found, [[1, 2 / 3], [2 / 3, 1]])


def test_quantile_of_grey_values():
    shares = np.zeros((3, 256))
    shares[1, [10, 20, 30]] = (0.2, 0.5, 0.3)
    grey = GreyFigures(shares, np.ones(3))
    assert [grey.quantile(1, part) for part in (0.1, 0.5, 0.9)] == [10, 20, 30]


@pytest.mark.parametrize(
    ("area_z", "distance_z", "score"), [(-5, 4, 5), (1, 4, 4), (np.nan, 4, 4), (-6, np.nan, 6)]
)
def test_the_score_of_an_outlier(area_z, distance_z, score):
    assert Outlier("x", 0, area_z, 0.1, distance_z).score == score
