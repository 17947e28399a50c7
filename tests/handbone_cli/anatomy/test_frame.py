from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.anatomy.frame import SIDE, HandFrame, find_frames, mean_centres, similarity

TURNS = [-170, -60, 0, 35, 90]


def turned(points, degrees, scale, shift, *, mirrored=False):
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mirror = np.diag([-1.0 if mirrored else 1.0, 1.0])
    return scale * points @ mirror @ turn.T + shift


def a_hand(degrees=0.0, scale=300.0, shift=(500, 600), *, mirrored=False, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    points = mean_centres() + rng.normal(0, noise, (29, 2))
    return turned(points, degrees, scale, shift, mirrored=mirrored)


def applied(matrix, points):
    return points @ matrix[:, :2].T + matrix[:, 2]


def test_a_similarity_is_found_again():
    source = np.random.default_rng(3).normal(size=(9, 2))
    target = turned(source, 50, 2.5, (3, -4))
    np.testing.assert_allclose(applied(similarity(source, target), source), target, atol=1e-12)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", TURNS)
def test_a_hand_is_found_however_it_lies(degrees, mirrored):
    centres = a_hand(degrees, mirrored=mirrored, noise=0.02)
    (frame,) = find_frames(range(29), centres)
    assert frame.side == ("left" if mirrored else "right")
    assert frame.bones == 27
    far = np.linalg.norm(applied(frame.matrix, centres) - mean_centres(), axis=1)
    assert far.max() < 0.1


def test_wrong_names_and_markers_do_no_harm():
    rng = np.random.default_rng(1)
    bones = [*range(29), *range(12)]
    centres = np.concatenate([a_hand(70, noise=0.02), rng.uniform(0, 1500, (12, 2))])
    bones[3], bones[7] = bones[7], bones[3]
    (frame,) = find_frames(bones, centres, hands=1)
    exact = HandFrame(similarity(a_hand(70), mean_centres()), "right", 27)
    np.testing.assert_allclose(
        applied(frame.to_square(100), centres[:29]),
        applied(exact.to_square(100), centres[:29]),
        atol=3,
    )


def test_two_hands_are_two_frames():
    hands = a_hand(10, 200, (300, 500)), a_hand(-10, 210, (900, 520), mirrored=True)
    frames = find_frames([*range(29)] * 2, np.concatenate(hands))
    assert sorted(frame.side for frame in frames) == ["left", "right"]
    for frame in frames:
        centres = hands[0] if frame.side == "right" else hands[1]
        np.testing.assert_allclose(applied(frame.matrix, centres), mean_centres(), atol=1e-6)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_a_few_bones_are_no_hand(count):
    assert find_frames(range(count), a_hand()[:count]) == []


def test_what_is_scattered_is_no_second_hand():
    rng = np.random.default_rng(4)
    bones = [*range(29), *range(8)]
    centres = np.concatenate([a_hand(), rng.uniform(0, 3000, (8, 2))])
    assert len(find_frames(bones, centres)) == 1


def test_the_square_holds_the_mean_hand():
    square = HandFrame(similarity(a_hand(20), mean_centres()), "right", 27).to_square(190)
    places = applied(square, a_hand(20))
    assert places.min() > 20
    assert places.max() < 190
    scale = np.sqrt(np.linalg.det(square[:, :2]))
    assert scale == pytest.approx(190 / SIDE / 300)


def test_bones_that_are_all_in_one_place_are_no_hand():
    assert find_frames(range(29), np.full((29, 2), 7.5)) == []
