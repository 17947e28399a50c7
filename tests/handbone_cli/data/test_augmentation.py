from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data import geometry
from handbone_cli.data.augmentation import apply_photometrics, draw, stream
from handbone_cli.recipe.schema import Augment

IMAGE, PATCH = (80, 60), (32, 32)
GREY = np.random.default_rng(4).integers(0, 256, PATCH).astype(np.uint8)


def plan(seed=0, image=IMAGE, patch=PATCH, **options):
    return draw(stream(7, 1, seed), Augment(**options), image, patch)


def centre(matrix, patch=PATCH):
    return matrix @ (patch[1] / 2, patch[0] / 2, 1)


def test_a_place_in_an_epoch_has_one_stream():
    everything = {
        "shift": 0.1, "scale": 0.1, "rotate": 20, "hflip": 0.5, "elastic": 1.0,
        "grid_distortion": 0.1, "brightness": 0.2, "contrast": 0.2, "gamma": 0.2, "noise": 0.1,
    }  # fmt: skip
    state = np.random.get_state()[1].copy()  # noqa: NPY002  the global stream stays untouched
    first, again, other = plan(3, **everything), plan(3, **everything), plan(4, **everything)
    assert np.array_equal(first.matrix, again.matrix)
    assert np.array_equal(first.displacement, again.displacement)
    assert (first.gamma, first.noise, first.noise_seed) == (
        again.gamma,
        again.noise,
        again.noise_seed,
    )
    assert not np.array_equal(first.matrix, other.matrix)
    assert np.array_equal(apply_photometrics(GREY, first), apply_photometrics(GREY, again))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_off_is_a_crop_inside_the_image():
    places = []
    for seed in range(200):
        drawn = plan(seed)
        assert np.allclose(drawn.matrix[:, :2], np.eye(2))
        assert drawn.displacement is None
        assert np.array_equal(apply_photometrics(GREY, drawn), GREY)
        places.append(drawn.matrix[:, 2])
    low, high = np.min(places, axis=0), np.max(places, axis=0)
    assert (low >= -1e-9).all()
    assert (high <= (IMAGE[1] - 32 + 1e-9, IMAGE[0] - 32 + 1e-9)).all()
    assert (high - low > (0.8 * 28, 0.8 * 48)).all()


def test_a_patch_larger_than_the_image_is_centred():
    assert plan(image=(20, 80)).matrix[1, 2] == pytest.approx(-6)
    whole = plan(image=PATCH).matrix
    assert np.allclose(whole, geometry.translation(0, 0))


def test_one_setting_does_not_move_another():
    """Every run draws the same values, so switching noise on keeps the places."""
    for seed in range(20):
        both = plan(seed, rotate=10, noise=0.1, hflip=0.5)
        assert np.allclose(centre(both.matrix), centre(plan(seed).matrix))


def test_shift_moves_the_centre():
    moves = [centre(plan(s, shift=0.1).matrix) - centre(plan(s).matrix) for s in range(100)]
    assert np.abs(moves).max(axis=0) == pytest.approx((0.1 * IMAGE[1], 0.1 * IMAGE[0]), rel=0.1)
    assert (np.abs(moves) <= (0.1 * IMAGE[1] + 1e-9, 0.1 * IMAGE[0] + 1e-9)).all()


def test_scale_rotate_and_flip_say_what_they_do():
    zooms = [1 / np.sqrt(np.linalg.det(plan(s, scale=0.2).matrix[:, :2])) for s in range(100)]
    assert 0.8 <= min(zooms) < 0.85
    assert 1.15 < max(zooms) <= 1.2
    turns = [plan(s, rotate=15).matrix[:, :2] for s in range(100)]
    angles = np.rad2deg([np.arctan2(t[1, 0], t[0, 0]) for t in turns])
    assert all(np.isclose(np.linalg.det(t), 1) for t in turns)
    assert 13 < np.abs(angles).max() <= 15
    flips = [np.linalg.det(plan(s, hflip=0.3).matrix[:, :2]) < 0 for s in range(400)]
    assert 0.2 < np.mean(flips) < 0.4
    assert np.linalg.det(plan(hflip=1.0).matrix[:, :2]) == pytest.approx(-1)


def test_elastic_and_grid_distortion_are_smooth_fields():
    elastic = plan(elastic=3.0, patch=(256, 256), image=(256, 256)).displacement
    assert 1.5 < elastic.std() < 4.5
    assert np.abs(np.diff(elastic, axis=0)).max() < 1.5
    grid = plan(grid_distortion=0.2).displacement
    assert 0 < np.abs(grid).max() <= 0.2 * 32 / 4


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"brightness": 0.2}, lambda g, p: g + 255 * p.brightness),
        ({"contrast": 0.3}, lambda g, p: (g - 127.5) * p.contrast + 127.5),
        ({"gamma": 0.3}, lambda g, p: 255 * (g / 255) ** p.gamma),
    ],
)
def test_each_photometric_alone(options, expected):
    drawn = plan(1, **options)
    changed = apply_photometrics(GREY, drawn)
    assert not np.array_equal(changed, GREY)
    assert np.abs(np.clip(expected(GREY.astype(float), drawn), 0, 255) - changed).max() <= 0.5001


def test_noise_has_its_deviation():
    drawn = plan(2, noise=0.1)
    noise = apply_photometrics(np.full((200, 200), 128, np.uint8), drawn).astype(float) - 128
    assert noise.std() == pytest.approx(255 * drawn.noise, rel=0.05)
    assert abs(noise.mean()) < 0.3
