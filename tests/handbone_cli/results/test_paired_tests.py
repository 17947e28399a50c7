from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from handbone_cli.results.paired_tests import (
    bootstrap_interval,
    by_person,
    detectable_factor,
    sign_flip,
    student_quantile,
)


def one_each(values):
    """A column of differences, an image a person."""
    return by_person(np.asarray(values, float)[:, None], [str(i) for i in range(len(values))])


def clustered(people, seed, shift=0.0):
    """Two images a person that hang together."""
    rng = np.random.default_rng(seed)
    values = np.repeat(rng.normal(shift, 1, people), 2) + rng.normal(0, 0.7, 2 * people)
    return by_person(values[:, None], np.repeat(np.arange(people), 2).astype(str))


def test_sums_by_person_leave_nan_out():
    table = by_person(np.array([[1.0, np.nan], [2, 3], [4, np.nan]]), ["b", "a", "b"])
    np.testing.assert_array_equal(table.sums, [[2, 3], [5, 0]])
    np.testing.assert_array_equal(table.counts, [[1, 1], [2, 0]])
    np.testing.assert_allclose(table.means, [7 / 3, 3])


def test_flips_of_few_people_are_scipy_s():
    values = np.random.default_rng(0).normal(0.3, 1, 10)
    p, exact = sign_flip(one_each(values), samples=10, rng=np.random.default_rng(1))
    theirs = stats.permutation_test(
        (values,), np.mean, permutation_type="samples", n_resamples=np.inf
    )
    assert (p[0], exact) == (pytest.approx(theirs.pvalue, abs=1e-12), True)


def test_flips_by_hand():
    """Of 3, 2 and -1 four of eight sums are 4 or further out: +-(3+2-1) and +-(3+2+1)."""
    p, _ = sign_flip(one_each([3, 2, -1]), samples=10, rng=np.random.default_rng(0))
    assert p[0] == 0.5


def test_images_of_a_person_flip_together():
    """Six equal images of three people: 2 of 8 flips, not 2 of 64."""
    table = by_person(np.ones((6, 1)), list("aabbcc"))
    assert sign_flip(table, samples=10, rng=np.random.default_rng(0))[0][0] == 0.25


def test_flips_of_many_people_are_drawn():
    values = np.random.default_rng(2).normal(0.35, 1, 40)
    p, exact = sign_flip(one_each(values), samples=20_000, rng=np.random.default_rng(3))
    assert not exact
    assert p[0] == pytest.approx(stats.ttest_1samp(values, 0).pvalue, abs=0.01)
    far = sign_flip(one_each(values + 9), samples=999, rng=np.random.default_rng(3))[0]
    assert far[0] == 1 / 1000  # never 0


def test_equal_to_the_last_bit_is_a_tie():
    table = one_each(np.zeros(20))
    assert sign_flip(table, samples=99, rng=np.random.default_rng(0))[0][0] == 1
    interval = bootstrap_interval(table, samples=99, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(interval, [[0, 0]])


@pytest.mark.parametrize("people", [12, 100])
def test_the_interval_is_scipy_s_at_the_level_that_few_people_need(people):
    """Skewed, so that bias and acceleration matter; 0.03 of the width is the draws' noise."""
    values = np.random.default_rng(0).exponential(1, people) - 0.8
    ours = bootstrap_interval(one_each(values), samples=30_000, rng=np.random.default_rng(1))[0]
    reach = np.sqrt(people / (people - 1)) * stats.t.ppf(0.975, people - 1)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=30_000, method="BCa", batch=3000,
        rng=np.random.default_rng(2), confidence_level=2 * stats.norm.cdf(reach) - 1,
    ).confidence_interval  # fmt: skip
    np.testing.assert_allclose(ours, theirs, atol=0.03 * (ours[1] - ours[0]))
    assert ours[1] - values.mean() > 1.1 * (values.mean() - ours[0])


def test_a_column_without_a_value():
    table = by_person(np.array([[np.nan, 1.0], [np.nan, 2]]), ["a", "b"])
    interval = bootstrap_interval(table, samples=50, rng=np.random.default_rng(0))
    assert np.isnan(interval[0]).all()
    assert np.isfinite(interval[1]).all()
    assert sign_flip(table, samples=50, rng=np.random.default_rng(0))[0][0] == 1


@pytest.mark.slow  # 3 s
@pytest.mark.parametrize("people", [10, 20])
def test_errors_on_null_data_are_as_often_as_they_say(people):
    """400 null studies of clustered images: 5 % +- 1.1 % rejected, 95 % of intervals hold 0."""
    rejected = covered = 0
    for seed in range(400):
        table, rng = clustered(people, (7, seed)), np.random.default_rng((8, seed))
        rejected += sign_flip(table, samples=399, rng=rng)[0][0] < 0.05
        low, high = bootstrap_interval(table, samples=600, rng=rng)[0]
        covered += low <= 0 <= high
    assert 0.02 < rejected / 400 < 0.085
    assert 0.915 < covered / 400 < 0.985


def test_power_is_what_the_smallest_difference_promises():
    """16 people whose true difference is the detectable factor times the true standard error."""
    error = np.sqrt((1 + 0.7**2 / 2) / 16)
    shift = detectable_factor(16) * error
    found = [
        sign_flip(clustered(16, (9, s), shift), samples=299, rng=np.random.default_rng(s))[0][0]
        for s in range(300)
    ]
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.8, abs=0.07)


@pytest.mark.parametrize("freedom", [1, 2, 3, 5, 11, 143])
@pytest.mark.parametrize("part", [0.8, 0.975])
def test_student_s_quantiles_are_scipy_s(freedom, part):
    assert student_quantile(part, freedom) == pytest.approx(stats.t.ppf(part, freedom), rel=5e-3)
