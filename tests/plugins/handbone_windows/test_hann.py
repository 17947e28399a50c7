from __future__ import annotations

import numpy as np
import pytest

from handbone_cli import WindowContext
from handbone_cli.testing import check_window
from handbone_windows.hann import HannOptions, build


@pytest.mark.parametrize("power", [0.5, 1, 8])
def test_conforms(power):
    check_window(lambda side: build(HannOptions(power=power), WindowContext(side)))


def test_windows_that_overlap_by_half_add_up_to_one():
    made = build(HannOptions(), WindowContext(64)).astype(np.float64)
    for axis in (0, 1):
        halves = np.split(made.sum(axis=1 - axis), 2)
        total = halves[0] + halves[1]
        np.testing.assert_allclose(total, total[0], rtol=1e-4)


def test_more_power_gathers_it_in_the_middle():
    one, two = (build(HannOptions(power=power), WindowContext(32)) for power in (1, 2))
    assert two[0, 16] / two[16, 16] < one[0, 16] / one[16, 16]
