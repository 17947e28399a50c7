from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.testing import check_window


def good(side):
    return np.full((side, side), 0.5, np.float32)


def test_a_good_one_passes():
    check_window(good)


@pytest.mark.parametrize(
    ("spoilt", "said"),
    [
        (lambda side: good(side).tolist(), "gives list, not an array"),
        (lambda side: good(side).astype(np.float64), "float64, not float32"),
        (lambda side: good(side)[:-1], r"a window of 32 px got \(31, 32\) weights"),
        (lambda side: good(side) * (np.arange(side, dtype=np.float32) > 0), "0.0, not above 0"),
        (lambda side: good(side) * np.float32(np.nan), "not finite"),
        (lambda side: good(side) * np.float32([[1e-12]] + [[1]] * (side - 1)), "span 1e\\+12"),
        (lambda side: good(side) + np.random.default_rng().random((side, side), np.float32),
         "two calls"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(spoilt, said):
    with pytest.raises(AssertionError, match=said):
        check_window(spoilt)
