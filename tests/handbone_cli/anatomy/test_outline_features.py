"""Moments of outlines, and that they move with the outlines."""

from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.anatomy.outline_features import (
    SHAFT,
    Similarity,
    evenly,
    features_of,
    wrist_end,
)


def rectangle(width, height, centre=(0.0, 0.0)):
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2 * (width, height)
    return corners + np.array(centre)


def test_features_of_a_rectangle():
    features = features_of(rectangle(6, 2, (10, 20)))
    way = (36 - 4) / (36 + 4)
    np.testing.assert_allclose(features, [10, 20, 0.5 * np.log(12), way, 0], atol=1e-12)


def test_the_way_round_does_not_matter():
    outline = rectangle(6, 2, (3, 4))
    np.testing.assert_allclose(features_of(outline), features_of(outline[::-1]))


def test_no_area_is_very_small_and_lies_where_it_is():
    features = features_of(np.array([[2.0, 3.0], [2.0, 3.0], [2.0, 3.0]]))
    np.testing.assert_allclose(features[:2], (2, 3))
    assert features[2] < -9
    assert np.isfinite(features).all()


@pytest.mark.parametrize("mirrored", [False, True])
def test_features_move_as_the_outline_does(mirrored):
    outline = np.random.default_rng(1).normal(size=(12, 2))[
        np.argsort(np.arange(12))
    ] + 10 * np.stack([np.cos(np.arange(12) / 2), np.sin(np.arange(12) / 2)], axis=1)
    frame = Similarity(0.7, 3.0, np.array([5.0, -2.0]), mirrored)
    moved = frame.features(features_of(outline))
    np.testing.assert_allclose(moved, features_of(frame.points(outline)), atol=1e-9)
    np.testing.assert_allclose(frame.back(frame.points(outline)), outline)


def test_even_points_keep_the_outline():
    points = evenly(rectangle(6, 2), 128)
    assert points.shape == (128, 2)
    steps = np.linalg.norm(np.diff(points, axis=0), axis=1)
    np.testing.assert_allclose(steps, 16 / 128)
    np.testing.assert_allclose(features_of(points)[2], 0.5 * np.log(12), atol=1e-3)


@pytest.mark.parametrize("length", [300.0, 700.0])
def test_the_wrist_end_does_not_depend_on_how_far_the_image_shows(length):
    unit = 540.0
    outline = evenly(rectangle(80, length, (200, 100 + length / 2)), 512)
    end = features_of(wrist_end(outline, np.array([200.0, 0.0]), unit))
    shaft = SHAFT * unit
    np.testing.assert_allclose(end[:2], (200, 100 + shaft / 2), atol=1.0)
    np.testing.assert_allclose(end[2], 0.5 * np.log(80 * shaft), atol=0.01)
