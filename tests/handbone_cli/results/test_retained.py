"""Dice against the share of films kept."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from scipy.stats import spearmanr

from handbone_cli.results.retained import draw_retained, is_retained, retained


def test_the_least_trusted_go_first():
    curve = retained([0.9, 0.1, 0.5], [0.8, 0.7, 0.3])
    np.testing.assert_allclose(curve.by_score, [0.8, 0.55, 0.6])
    np.testing.assert_allclose(curve.best, [0.8, 0.75, 0.6])
    assert curve.at(1.0) == (pytest.approx(0.6), pytest.approx(0.6))
    assert curve.at(0.01) == (pytest.approx(0.8), pytest.approx(0.8))
    assert curve.error == pytest.approx((0.1 + 0.6 + 0.2) / 3)


def test_the_correlation_is_spearmans_with_ties_too():
    rng = np.random.default_rng(0)
    scores, dice = rng.integers(0, 6, (2, 40)) / 5
    curve = retained(scores, dice)
    assert curve.correlation == pytest.approx(spearmanr(scores, dice).statistic)
    assert math.isnan(retained([0.5, 0.5], [0.1, 0.9]).correlation)


@pytest.mark.parametrize("count", [1, 2, 30])
def test_the_picture_is_svg_and_known_again(count):
    rng = np.random.default_rng(count)
    drawn = draw_retained(retained(rng.random(count), rng.random(count)), "a <b> & c")
    ET.fromstring(drawn)
    assert is_retained(drawn.encode())
    assert "nan" not in drawn.replace("Spearman nan", "")
