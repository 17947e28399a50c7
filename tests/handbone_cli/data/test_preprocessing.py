from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.data import geometry
from handbone_cli.data.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Preprocessing,
    normalise,
    reduce_by_area,
    statistics,
    target_size,
    to_uint8,
)
from handbone_cli.host.registry import installed
from handbone_cli.recipe.schema import Data, Recipe

GREY = np.random.default_rng(2).integers(0, 256, (96, 64)).astype(np.uint8)


def prepare(grey, **data):
    return Preprocessing(Data(**{"clahe": False, **data}))(grey)


def test_clahe_is_that_of_cv2():
    expected = cv2.createCLAHE(3.0, (4, 4)).apply(GREY)
    assert np.array_equal(prepare(GREY, clahe={"clip_limit": 3.0, "tiles": 4}).grey, expected)
    assert np.array_equal(prepare(GREY).grey, GREY)


@pytest.mark.parametrize(
    ("size", "resize", "expected"),
    [
        ((2048, 2048), 512, (512, 512)),
        ((2048, 1536), 512, (512, 384)),
        ((1536, 2048), 512, (384, 512)),
        ((100, 50), 200, (200, 100)),
        ((3000, 2), 100, (100, 1)),
        ((7, 9), None, (7, 9)),
    ],
)
def test_target_size(size, resize, expected):
    assert target_size(size, resize) == expected


@pytest.mark.parametrize("target", [(48, 32), (24, 16), (47, 31), (96, 64), (60, 40)])
def test_whole_blocks_are_averaged(target):
    block = min(96 // target[0], 64 // target[1])
    blocks = GREY.reshape(96 // block, block, 64 // block, block).mean(axis=(1, 3))
    assert np.abs(reduce_by_area(GREY, target) - blocks).max() <= 0.5


def test_a_last_block_repeats_the_edge():
    reduced = reduce_by_area(GREY[:95, :63], (31, 21))
    assert reduced.shape == (32, 21)
    edge = np.concatenate([GREY[93:95, :3], GREY[94:95, :3]])
    assert abs(float(reduced[31, 0]) - edge.mean()) <= 0.5


@pytest.mark.parametrize("width", [250, 247, 129, 64])
def test_reducing_keeps_places(width):
    """A ramp keeps its slope up to the last pixel, also where blocks do not divide the image."""
    ramp = np.tile(np.arange(width, dtype=np.uint8), (width, 1))
    ready = prepare(ramp, resize=32)
    seen = geometry.warp(ready.grey, ready.frame.to_reduced, ready.frame.target)
    expected = (np.arange(32) + 0.5) * width / 32 - 0.5
    assert np.abs(seen[16].astype(float) - expected)[1:-1].max() <= 1


def test_sixteen_bits_are_stretched():
    deep = np.array([[1000, 1500], [2000, 3040]], np.uint16)
    assert to_uint8(deep).tolist() == [[0, 62], [125, 255]]
    assert to_uint8(np.full((2, 2), 777, np.uint16)).tolist() == [[0, 0], [0, 0]]
    assert to_uint8(GREY) is GREY


def test_normalisations():
    percentiles = np.percentile(GREY, (1, 99))
    expected = {
        "imagenet": (np.mean(IMAGENET_MEAN), np.mean(IMAGENET_STD)),
        "zscore": (GREY.mean() / 255, GREY.std() / 255),
        "percentile": (percentiles[0] / 255, (percentiles[1] - percentiles[0]) / 255),
    }
    for name, (mean, std) in expected.items():
        assert np.ravel(statistics(GREY, name)) == pytest.approx((mean, std))
        ready = prepare(GREY, normalize=name)
        seen = normalise(ready.grey, ready.frame.mean, ready.frame.std)
        assert (seen.dtype, seen.shape) == (np.float32, (1, *GREY.shape))
        assert np.allclose(seen[0], (GREY / 255 - mean) / std, atol=1e-4)


def test_three_channels_are_normalised_each_by_its_own():
    colours = np.stack([GREY, GREY // 2, GREY // 4], axis=2)
    assert statistics(colours, "imagenet") == (IMAGENET_MEAN, IMAGENET_STD)
    mean, std = statistics(colours, "zscore")
    assert mean == pytest.approx(colours.mean(axis=(0, 1)) / 255)
    seen = normalise(colours, mean, std)
    assert seen.shape == (3, *GREY.shape)
    assert np.allclose(seen.mean(axis=(1, 2)), 0, atol=1e-4)
    assert np.allclose(seen.std(axis=(1, 2)), 1, atol=1e-3)


class Middle:
    """A preprocessor that keeps the middle and makes two channels of it."""

    def __call__(self, image):
        box = (10, image.shape[0] - 6, 4, image.shape[1] - 20)
        cut = image[box[0] : box[1], box[2] : box[3]]
        return np.stack([cut, 255 - cut], axis=2), box

    def channels(self, given):
        return 2 * given


def test_preprocessors_may_crop_and_make_channels():
    ready = Preprocessing(Data(clahe=False, resize=40), (Middle(),))(GREY)
    frame = ready.frame
    assert (frame.size, frame.crop, frame.shown) == ((96, 64), (10, 90, 4, 44), (80, 40))
    assert (frame.target, frame.block, ready.grey.shape) == ((40, 20), 2, (40, 20, 2))
    assert np.allclose(frame.to_image @ (0, 0, 1), (4, 10))
    assert np.allclose(frame.to_image @ (20, 40, 1), (44, 90))
    assert Preprocessing(Data(), (Middle(), Middle())).channels == 4


def test_a_frame_without_pixels_is_the_frame_with_them():
    for resize in (None, 40, 300):
        chain = Preprocessing(Data(clahe=False, resize=resize))
        assert chain.frame_of((96, 64)) == chain(GREY).frame
        assert chain(GREY).grey.shape == chain(GREY).frame.reduced
    assert Preprocessing(Data(normalize="zscore")).frame_of((96, 64)) is None
    assert Preprocessing(Data(), (Middle(),)).frame_of((96, 64)) is None


def test_what_changes_the_pixels_changes_the_digest():
    registry = installed()

    def digest(**data):
        recipe = {"name": "r", "model": {"name": "m"}, "loss": {"name": "l"}, "data": data}
        return Preprocessing.of(Recipe.model_validate(recipe), registry).digest

    same = digest()
    assert same == digest(patch=64, cache=False, workers=3)
    others = [
        digest(clahe=False), digest(clahe={"clip_limit": 3.0}), digest(resize=64),
        digest(normalize="zscore"),
    ]  # fmt: skip
    assert len({same, *others}) == 5


@pytest.mark.parametrize("name", ["zscore", "percentile"])
def test_an_even_image_stays_finite(name):
    ready = prepare(np.full((8, 8), 90, np.uint8), normalize=name)
    assert np.abs(normalise(ready.grey, ready.frame.mean, ready.frame.std)).max() < 1e-3
