from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.data import geometry
from handbone_cli.data.preprocessing import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    normalise,
    prepare,
    reduce_by_area,
    statistics,
    target_size,
    to_uint8,
)
from handbone_cli.recipe.schema import Data

GREY = np.random.default_rng(2).integers(0, 256, (96, 64)).astype(np.uint8)


def test_clahe_is_that_of_cv2():
    expected = cv2.createCLAHE(3.0, (4, 4)).apply(GREY)
    assert np.array_equal(prepare(GREY, Data(clahe={"clip_limit": 3.0, "tiles": 4})).grey, expected)
    assert np.array_equal(prepare(GREY, Data(clahe=False)).grey, GREY)


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
    ready = prepare(ramp, Data(clahe=False, resize=32))
    seen = geometry.warp(ready.grey, ready.to_grey, ready.target)
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
        "imagenet": (IMAGENET_MEAN, IMAGENET_STD),
        "zscore": (GREY.mean() / 255, GREY.std() / 255),
        "percentile": (percentiles[0] / 255, (percentiles[1] - percentiles[0]) / 255),
    }
    for name, (mean, std) in expected.items():
        assert statistics(GREY, name) == pytest.approx((mean, std))
        ready = prepare(GREY, Data(clahe=False, normalize=name))
        seen = normalise(ready.grey, ready.mean, ready.std)
        assert seen.dtype == np.float32
        assert np.allclose(seen, (GREY / 255 - mean) / std, atol=1e-4)
    assert pytest.approx((0.449, 0.226), abs=1e-3) == (IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize("name", ["zscore", "percentile"])
def test_an_even_image_stays_finite(name):
    ready = prepare(np.full((8, 8), 90, np.uint8), Data(clahe=False, normalize=name))
    assert np.abs(normalise(ready.grey, ready.mean, ready.std)).max() < 1e-3
