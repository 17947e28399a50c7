"""Outlines against their expected shape: bumps, rings, the sesamoid."""

from __future__ import annotations

import numpy as np

from handbone_cli.anatomy.outline_features import evenly
from handbone_cli.anatomy.outline_fit import distances, lay_on, ring_width, sesamoid_area
from handbone_cli.anatomy.shape_model import ShapeModel

PHALANX, THUMB, RADIUS = 13, 2, 27


def expected(bone):
    return ShapeModel.load().mean[bone].astype(np.float64)


def ringed(outline, width, *, both=True):
    """A band across the middle of the shaft, wider by `width` on both sides, or one."""
    points = evenly(outline, 400)
    middle = points.mean(axis=0)
    axis = np.linalg.svd(points - middle, full_matrices=False)[2][0]
    along, normal = (points - middle) @ axis, np.array([-axis[1], axis[0]])
    side = np.sign((points - middle) @ normal)
    band = np.abs(along) < 0.08 * np.ptp(along)
    band &= both | (side > 0)
    return points + np.outer(band * side * width, normal)


def test_distances_are_positive_outside():
    square = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
    found = distances(np.array([[0.5, 0.5], [1.25, 0.5], [0.5, -0.1]]), square)
    np.testing.assert_allclose(found, [-0.5, 0.25, 0.1], atol=2e-3)


def test_place_size_and_turn_are_put_aside():
    turn = np.array([[np.cos(0.2), -np.sin(0.2)], [np.sin(0.2), np.cos(0.2)]])
    outline = 1.2 * expected(PHALANX) @ turn.T + (3, 4)
    off = lay_on(outline, expected(PHALANX), PHALANX)
    assert np.abs(off.off).max() < 0.0015
    assert ring_width(off) < 0.001


def test_a_ring_is_wide_on_both_sides_and_a_bump_is_not():
    ring = lay_on(ringed(expected(PHALANX), 0.03), expected(PHALANX), PHALANX)
    np.testing.assert_allclose(ring_width(ring), 0.03, atol=0.01)
    bump = lay_on(ringed(expected(PHALANX), 0.03, both=False), expected(PHALANX), PHALANX)
    assert ring_width(bump) < 0.005
    assert bump.off.max() > 0.015


def test_of_a_forearm_bone_the_wrist_end_alone_is_compared():
    outline = expected(RADIUS)
    outline[:, 1] = np.minimum(outline[:, 1], outline[:, 1].max() - 0.1)
    off = lay_on(outline, expected(RADIUS), RADIUS)
    assert np.abs(off.off).max() < 0.02


def test_the_sesamoid_is_what_sticks_out_of_the_thumb_metacarpal():
    outline = expected(THUMB)
    knob = outline[0] + 0.018 * np.stack(
        [np.cos(np.linspace(-3, 1.5, 20)), np.sin(np.linspace(-3, 1.5, 20))], axis=1
    )
    with_it = np.concatenate([outline[1:47], outline[47:], knob + np.array([0.01, -0.012])])
    bare = np.delete(outline, [46, 47, 0, 1, 2, 3], axis=0)
    assert sesamoid_area(with_it, outline, THUMB) > 0.3
    assert sesamoid_area(bare, outline, THUMB) < 0.14
