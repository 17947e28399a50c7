"""The filters of the CRFs against sums over all pairs of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from handbone_postprocess.pairwise import GridFilter, SpatialFilter, WindowFilter


def kernel(grey, sd, tone=None, reach=None):
    """(n, n) weights of every pair of pixels."""
    points = np.stack(np.mgrid[: grey.shape[0], : grey.shape[1]], axis=-1).reshape(-1, 2)
    apart = (points[:, None] - points[None]).astype(float)
    weights = np.exp(-0.5 * np.square(apart / sd).sum(axis=-1))
    if tone is not None:
        level = grey.ravel().astype(float)
        weights *= np.exp(-0.5 * np.square((level[:, None] - level[None]) / tone))
    return weights if reach is None else weights * (np.abs(apart) <= reach).all(axis=-1)


def draw(size=(22, 31), seed=0):
    rng = np.random.default_rng(seed)
    grey = np.clip(rng.normal(100, 6, size), 0, 255).astype(np.uint8)
    grey[:, size[1] // 2 :] += 30
    return grey, rng.normal(size=size).astype(np.float32)


@pytest.mark.parametrize("size", [(22, 31), (1, 12), (12, 1), (1, 1), (3, 4)])
@pytest.mark.parametrize(("sd", "reach"), [(10.0, 5), (2.0, 1)])
def test_a_window_is_exact(size, sd, reach):
    grey, values = draw(size)
    expected = (kernel(grey, sd, 1.7, reach) @ values.ravel()).reshape(size)
    assert WindowFilter(grey, sd, 1.7, reach)(values) == pytest.approx(expected, abs=1e-4)
    smooth = (kernel(grey, sd, None, reach) @ values.ravel()).reshape(size)
    assert SpatialFilter(sd, reach)(values) == pytest.approx(smooth, abs=1e-4)


def test_a_gaussian_is_cut_off_where_it_is_nothing():
    grey, values = draw()
    expected = (kernel(grey, 3.0) @ values.ravel()).reshape(grey.shape)
    assert SpatialFilter(3.0)(values) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("size", [(22, 31), (1, 12), (12, 1), (1, 1)])
@pytest.mark.parametrize(("sd", "tone"), [(10.0, 1.7), (5.0, 4.0), (40.0, 20.0)])
def test_the_grid_is_near(size, sd, tone):
    grey, _ = draw(size)
    weights = kernel(grey, sd, tone)
    sums = weights.sum(axis=1)
    grid = GridFilter(grey, sd, tone)
    assert grid(np.ones(size, np.float32)).ravel() == pytest.approx(sums, rel=0.1)
    # As a CRF uses it, between the roots of the kernel's sums:
    values = np.where(np.arange(sums.size) % 3, -1.0, 1.0)
    roots = np.sqrt(grid(np.ones(size, np.float32)).ravel())
    found = grid((values / roots).reshape(size).astype(np.float32)).ravel() / roots
    expected = weights / np.sqrt(np.outer(sums, sums)) @ values
    assert found == pytest.approx(expected, abs=0.03)


def test_values_stay_as_they_are():
    grey, values = draw()
    before = values.copy()
    for each in (SpatialFilter(2.0), WindowFilter(grey, 3.0, 2.0, 3), GridFilter(grey, 3.0, 2.0)):
        first = each(values)
        assert np.array_equal(each(values), first)
    assert np.array_equal(values, before)
