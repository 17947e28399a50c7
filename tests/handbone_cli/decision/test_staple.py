from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from handbone_cli.decision.staple import Staple, estimate
from handbone_cli.decision.vote import cast
from handbone_cli.errors import HandboneError

HALF = Fraction(1, 2)
SITK = {
    "sensitivity": (0.953532636742752, 0.973768118434052, 0.9682207579772967),
    "specificity": (0.9903150099005794, 0.9856014234798198, 0.9783080031201383),
    "probability": (1e-5, 0.02064, 0.024887, 0.981669, 0.013613, 0.966621, 0.972276, 0.999986),
}
PATTERNS = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(bool)


def staple(members, share=HALF):
    return Staple(cast([[Fraction(1)] * members], [share]))


def distinct(crops):
    """Distinct decisions and their counts."""
    flat = np.stack([crop.ravel() for crop in crops], axis=1)
    return np.unique(flat, axis=0, return_counts=True)


def raters(rates, size=(200, 250), seed=0):
    """An ellipse as raters of known sensitivity and specificity draw it."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    truth = ((y - 100) / 70) ** 2 + ((x - 120) / 90) ** 2 < 1
    return truth, [
        np.where(truth, rng.random(size) < p, rng.random(size) < 1 - q) for p, q in rates
    ]


def test_what_simpleitk_found():
    """SimpleITK 2.5.7, STAPLEImageFilter: pixels of these eight decisions in one row."""
    counts = np.array([4000, 40, 60, 30, 90, 25, 45, 900])
    found = estimate(PATTERNS, counts)
    np.testing.assert_allclose(found.sensitivity, SITK["sensitivity"], atol=1e-7)
    np.testing.assert_allclose(found.specificity, SITK["specificity"], atol=1e-7)
    np.testing.assert_allclose(found.probability, SITK["probability"], atol=1e-6)


def test_a_fixed_point_by_hand():
    """At the end E and M agree, written out from the paper's equations 15, 18 and 19."""
    counts = np.array([500, 12, 9, 7, 11, 8, 6, 90])
    found = estimate(PATTERNS, counts)
    prior = (counts @ PATTERNS.sum(axis=1)) / (3 * counts.sum())
    for row, w in zip(PATTERNS, found.probability, strict=True):
        a, b = prior, 1 - prior
        for d, p, q in zip(row, found.sensitivity, found.specificity, strict=True):
            a, b = a * (p if d else 1 - p), b * (1 - q if d else q)
        assert w == pytest.approx(a / (a + b), abs=1e-6)
    weight = counts * found.probability
    np.testing.assert_allclose(found.sensitivity, weight @ PATTERNS / weight.sum(), atol=1e-6)


def test_rates_that_are_known_are_found():
    rates = [(0.95, 0.9), (0.8, 0.97), (0.9, 0.85), (0.7, 0.8)]
    truth, crops = raters(rates)
    found = estimate(*distinct(crops))
    np.testing.assert_allclose(found.sensitivity, [p for p, _ in rates], atol=0.015)
    np.testing.assert_allclose(found.specificity, [q for _, q in rates], atol=0.015)
    rule = staple(4)
    elected = rule(0, range(4), crops)
    majority = np.sum(crops, axis=0) > 2
    assert np.mean(elected != truth) < 0.8 * np.mean(majority != truth)
    np.testing.assert_allclose(rule.raters, rates, atol=0.015)


def test_one_good_rater_against_two_bad_ones():
    """Counting follows the two; their disagreement elsewhere tells how good they are."""
    truth, crops = raters([(0.99, 0.99), (0.6, 0.6), (0.6, 0.6)])
    elected = staple(3)(0, range(3), crops)
    assert np.mean(elected != truth) < 0.03 < np.mean((np.sum(crops, axis=0) > 1) != truth)


def test_a_higher_share_takes_less():
    _, crops = raters([(0.8, 0.8), (0.75, 0.8), (0.8, 0.7)])
    low, high = (staple(3, Fraction(s))(0, range(3), crops) for s in ("0.1", "0.9"))
    assert not (high & ~low).any()
    assert high.sum() < low.sum()


def test_where_all_agree_nothing_is_estimated():
    crop = np.eye(5, dtype=bool)
    rule = staple(3)
    np.testing.assert_array_equal(rule(0, range(3), [crop] * 3), crop)
    assert np.isnan(rule.raters).all()


def test_members_without_a_vote_are_no_raters():
    ballot = cast([[Fraction(1), Fraction(0), Fraction(1), Fraction(1)]], [HALF])
    rates = [(0.9, 0.9), (0.8, 0.9), (0.9, 0.8)]
    _, crops = raters(rates)
    rule = Staple(ballot)
    rule(0, [0, 2, 3], crops)
    assert np.isnan(rule.raters[1]).all()
    np.testing.assert_allclose([rule.raters[i] for i in (0, 2, 3)], rates, atol=0.02)


def test_too_many_raters():
    with pytest.raises(HandboneError) as caught:
        staple(17)
    assert str(caught.value) == "STAPLE of 17 members; at most 16."
