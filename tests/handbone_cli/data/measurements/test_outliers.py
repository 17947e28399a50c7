from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data.measurements.outliers import (
    area_scores,
    find_outliers,
    modified_z,
    place_distances,
)
from handbone_cli.dataset_figures import ImageFigures

HAND = np.array([(0, 0), (1, 0), (2, 0.5), (0, 2), (1, 2), (2, 2.5), (1, 4), (2, 4.5)]) / 10
SIZE = (1000, 1000)


def moved(points, rng, noise=0.0015):
    turn, scale, shift = rng.uniform(-0.5, 0.5), rng.uniform(0.7, 1.3), rng.uniform(-0.1, 0.1, 2)
    matrix = scale * np.array([(np.cos(turn), -np.sin(turn)), (np.sin(turn), np.cos(turn))])
    return points @ matrix.T + shift + rng.uniform(-noise, noise, points.shape)


def hands(count, seed=1, *, bent=False):
    """Hands of one shape in any place, turn and size; areas go with the size of the hand."""
    rng = np.random.default_rng(seed)
    images = []
    for number in range(count):
        points = moved(HAND, rng) * 1000
        areas = np.arange(1000, 9000, 1000) * rng.uniform(0.5, 2) * rng.uniform(0.97, 1.03, 8)
        images.append(
            ImageFigures(
                f"image{number}{'b' if bent else ''}",
                "p",
                "train",
                SIZE,
                8,
                np.rint(areas).astype(np.int64),
                points,
                bent=bent,
            )
        )
    return images


def test_hands_of_any_size_place_and_turn_are_no_outliers():
    assert find_outliers(hands(40)) == []


def test_a_strange_area_and_a_strange_place_are_found():
    images = hands(40)
    images[7].areas[3] *= 2
    images[12].centroids[5] += (60, -40)
    found = find_outliers(images)
    assert {(o.image_id, o.index) for o in found} == {("image7", 3), ("image12", 5)}
    area, place = sorted(found, key=lambda o: o.image_id, reverse=True)
    assert area.area_z > 10
    assert abs(area.distance_z) < 3.5
    assert area.score == area.area_z
    assert place.distance == pytest.approx(0.072, abs=0.03)
    assert place.score == place.distance_z > 10
    assert found[0].score >= found[1].score


def test_two_names_changed_are_the_two_outliers():
    images = hands(40)
    images[3].centroids[[1, 6]] = images[3].centroids[[6, 1]]
    assert {(o.image_id, o.index) for o in find_outliers(images)} == {("image3", 1), ("image3", 6)}


def test_straight_and_bent_are_judged_apart():
    bent = hands(10, seed=2, bent=True)
    for image in bent:
        image.areas[0] *= 3
    assert find_outliers([*hands(40), *bent]) == []
    assert {o.image_id[-1] for o in find_outliers([*hands(40), *bent[:7]])} == set()


def test_bent_hands_are_judged_too():
    bent = hands(12, seed=2, bent=True)
    bent[4].areas[0] *= 3
    assert [(o.image_id, o.index) for o in find_outliers([*hands(40), *bent])] == [("image4b", 0)]


def test_few_images_are_not_judged():
    images = hands(7)
    images[0].areas[3] *= 50
    assert find_outliers(images) == []


def test_bones_that_are_not_there_are_not_judged():
    images = hands(40)
    for image in images[:35]:
        image.areas[2], image.centroids[2] = 0, np.nan
    images[39].areas[2] *= 40
    assert all(o.index != 2 for o in find_outliers(images))


def test_modified_z_is_that_of_iglewicz_and_hoaglin():
    values = np.array([[1.0], [2], [3], [4], [5], [6], [7], [80]])
    found = modified_z(values, 0.0)[:, 0]
    np.testing.assert_allclose(found, (values[:, 0] - 4.5) / (1.4826 * 2), rtol=1e-9)
    assert modified_z(np.ones((8, 1)), 0.5).tolist() == [[0]] * 8


def test_area_scores_take_the_size_of_the_hand_out():
    areas = np.outer(np.linspace(1, 5, 12), [100.0, 200, 300, 400])
    np.testing.assert_allclose(area_scores(areas), 0, atol=1e-9)


def test_a_hand_of_three_bones_cannot_be_laid_on_another():
    rng = np.random.default_rng(0)
    points = np.array([moved(HAND, rng) for _ in range(10)])
    points[0, 3:] = np.nan
    distances = place_distances(points)
    assert np.isnan(distances[0]).all()
    assert distances[1:].max() < 0.03
