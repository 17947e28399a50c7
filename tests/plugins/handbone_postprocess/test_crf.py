"""The CRFs against a mean field over all pairs of pixels and both classes, as the paper has it."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from handbone_cli import Bone, PostContext
from handbone_postprocess.crf import (
    ConvCrfOptions,
    DenseCrfOptions,
    build_conv_crf,
    build_dense_crf,
    mean_field,
    pairwise_terms,
    unary,
)

SIZE = (28, 34)
Y, X = np.ogrid[: SIZE[0], : SIZE[1]]
DISC = np.square(Y - 14) + np.square(X - 17) < 100


def draw(seed):
    """A bone that is brighter than what lies around it, and a noisy guess of it."""
    rng = np.random.default_rng(seed)
    grey = np.clip(100 + 20 * DISC + rng.normal(0, 2, SIZE), 0, 255).astype(np.uint8)
    odds = (np.where(DISC, 1.0, -1.0) + rng.normal(0, 1.6, SIZE)).astype(np.float32)
    return grey, odds


def brute(odds, grey, options, reach=None):
    """Q(bone) by softmax over two classes, unary and O(n^2) messages (Potts)."""
    points = np.stack(np.mgrid[: SIZE[0], : SIZE[1]], axis=-1).reshape(-1, 2).astype(float)
    apart = points[:, None] - points[None]
    squared = np.square(apart).sum(axis=-1)
    colour = np.repeat(grey.reshape(-1, 1), 3, axis=1).astype(float)
    tones = np.square(colour[:, None] - colour[None]).sum(axis=-1)
    near = np.exp(-squared / 2 / options.gaussian_sxy**2)
    alike = np.exp(-squared / 2 / options.bilateral_sxy**2 - tones / 2 / options.bilateral_srgb**2)
    messages = 0.0
    seen = True if reach is None else (np.abs(apart) <= reach).all(axis=-1)
    for compat, pairs in ((options.gaussian_compat, near), (options.bilateral_compat, alike)):
        weights = pairs * seen
        roots = np.sqrt(weights.sum(axis=1))
        messages = messages + compat * weights / np.outer(roots, roots)
    energy = np.stack([-odds.ravel() / 2, odds.ravel() / 2], axis=1).astype(float)
    q = softmax(energy)
    for _ in range(options.iterations):
        q = softmax(energy + messages @ q)
    return q[:, 1].reshape(SIZE)


def softmax(energy):
    weights = np.exp(energy - energy.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def field(odds, grey, options):
    z = mean_field(odds, pairwise_terms(options, grey), options.iterations)
    return 1 / (1 + np.exp(-z.astype(float)))


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "options", [DenseCrfOptions(), DenseCrfOptions(bilateral_sxy=5, bilateral_srgb=8, iterations=2)]
)
def test_the_dense_crf_is_that_of_all_pairs(seed, options):
    grey, odds = draw(seed)
    expected = brute(odds, grey, options)
    found = field(odds, grey, options)
    assert found == pytest.approx(expected, abs=0.06)
    assert abs(found - expected).mean() < 2e-4
    assert np.array_equal(found > 0.5, expected > 0.5)
    # Far from where it began, so that the comparison says something:
    assert np.count_nonzero((odds > 0) != (expected > 0.5)) > 150
    assert np.count_nonzero((expected > 0.5) != DISC) < 10


@pytest.mark.parametrize("options", [ConvCrfOptions(), ConvCrfOptions(filter_size=3)])
def test_the_convolutional_crf_is_that_of_pairs_in_the_window(options):
    grey, odds = draw(2)
    expected = brute(odds, grey, options, reach=options.filter_size // 2)
    assert field(odds, grey, options) == pytest.approx(expected, abs=1e-4)
    assert abs(field(odds, grey, options) - field(odds, grey, DenseCrfOptions())).max() > 0.01


def bone(mask, probabilities, grey, threshold=0.5):
    box = (0, *mask.shape[:1], 0, *mask.shape[1:])
    return Bone("Radius", box, mask, threshold, lambda: probabilities, lambda: grey)


@pytest.mark.parametrize(
    "build", [(build_dense_crf, DenseCrfOptions), (build_conv_crf, ConvCrfOptions)]
)
def test_a_notch_follows_the_grey_values(build):
    make, options = build
    grey, _ = draw(3)
    probabilities = np.where(DISC, 0.9, 0.1).astype(np.float32)
    probabilities[12:15, 5:12] = 0.4  # a notch that the image does not have
    mask = probabilities > 0.5
    rule = make(options(), PostContext())
    refined = rule.refine(bone(mask, probabilities, grey))
    assert np.count_nonzero(mask != DISC) > 10
    assert np.count_nonzero(refined != DISC) < np.count_nonzero(mask != DISC) / 3


def test_without_pairs_the_mask_stays_whatever_the_threshold_and_the_rules_before():
    probabilities = np.random.default_rng(0).random(SIZE).astype(np.float32)
    options = DenseCrfOptions(gaussian_compat=0, bilateral_compat=0)
    rule = build_dense_crf(options, PostContext())
    for threshold in (0.2, 0.5, 0.8):
        mask = probabilities > threshold
        assert np.array_equal(
            rule.refine(bone(mask, probabilities, None or draw(0)[0], threshold)), mask
        )
        cleaned = mask & DISC
        refined = rule.refine(bone(cleaned, probabilities, draw(0)[0], threshold))
        assert np.array_equal(refined, cleaned)


def test_log_odds_are_counted_from_the_threshold():
    p = np.array([[0.2, 0.5, 0.9, 1.0]], np.float32)
    odds = unary(p, 0.2, p > 0.2)
    assert odds[0, :3] == pytest.approx([0, np.log(4), np.log(36)], abs=1e-5)
    assert np.isfinite(odds).all()
    assert unary(p, 0.5, np.array([[True, False, False, True]]))[0] == pytest.approx(
        [np.log(4), 0, -np.log(9), np.log(509)], abs=1e-3
    )


def test_an_empty_bone_is_not_looked_for_in_the_image():
    def missing():
        raise AssertionError("the image was read")

    empty = np.zeros((4, 5), np.bool_)
    rule = build_dense_crf(DenseCrfOptions(), PostContext())
    assert not rule.refine(Bone("Radius", (0, 4, 0, 5), empty, 0.5, missing, missing)).any()


def test_a_window_has_a_middle():
    with pytest.raises(ValidationError, match="must be odd"):
        ConvCrfOptions(filter_size=4)


def test_the_defaults_are_the_sources():
    said = DenseCrfOptions().model_dump()
    assert said == {"gaussian_sxy": 3, "gaussian_compat": 3, "bilateral_sxy": 10,
                    "bilateral_srgb": 3, "bilateral_compat": 6, "iterations": 5}  # fmt: skip
