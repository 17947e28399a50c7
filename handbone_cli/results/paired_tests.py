"""Statistics of paired differences when images of one person hang together.

Whole people are drawn, flipped and left out, never images. The columns of a table of differences
(one a bone) share every draw and every flip, so that they keep what they have in common.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

EXACT_PEOPLE = 14
"""Up to so many people all 2^G flips of sign are counted; of more, some are drawn."""
NEAR = 1e-12
"""Relative; sums that differ by less are equal but for rounding."""
NORMAL = NormalDist()


@dataclass(frozen=True, eq=False)
class PersonSums:
    """Differences added up by person.

    Attributes:
        sums: (G, K) of G people and K columns.
        counts: (G, K) images in each; an image whose difference is nan is not counted.
    """

    sums: NDArray[np.float64]
    counts: NDArray[np.float64]

    @property
    def people(self) -> int:
        """G."""
        return len(self.sums)

    @property
    def means(self) -> NDArray[np.float64]:
        """(K,) mean over images; nan where no image counts."""
        with np.errstate(invalid="ignore"):
            means: NDArray[np.float64] = self.sums.sum(axis=0) / self.counts.sum(axis=0)
        return means


def by_person(differences: NDArray[np.float64], persons: Sequence[str]) -> PersonSums:
    """Add up differences (N, K) of N images whose persons these are."""
    _, row = np.unique(np.asarray(persons), return_inverse=True)
    people = int(row.max()) + 1
    there = np.isfinite(differences)
    sums = np.zeros((people, differences.shape[1]))
    counts = np.zeros_like(sums)
    np.add.at(sums, row, np.where(there, differences, 0.0))
    np.add.at(counts, row, there)
    return PersonSums(sums, counts)


def bootstrap_interval(
    table: PersonSums, *, samples: int, rng: np.random.Generator, level: float = 0.95
) -> NDArray[np.float64]:
    """Intervals (K, 2) of the means by the bias-corrected and accelerated bootstrap over people.

    Efron, Journal of the American Statistical Association 82 (1987), 171-185; the acceleration is
    the jackknife's, leaving one person out. Of few people the bootstrap is too sure of itself, so
    its quantiles lie as much further out as Student's t and the variance's n - 1 have them
    (Hesterberg, The American Statistician 69 (2015), 371-386).

    Args:
        table: the differences; nan intervals for a column without any.
        samples: how often G people are drawn with replacement.
        rng: what draws them.
        level: of the intervals.
    """
    drawn = rng.multinomial(table.people, np.full(table.people, 1 / table.people), size=samples)
    few = math.sqrt(table.people / (table.people - 1))
    reach = few * student_quantile((1 + level) / 2, table.people - 1)
    with np.errstate(invalid="ignore"):
        means = (drawn @ table.sums) / (drawn @ table.counts)
        left_out = (table.sums.sum(axis=0) - table.sums) / (table.counts.sum(axis=0) - table.counts)
    return np.array(
        [
            _interval(means[:, column], left_out[:, column], observed, reach)
            for column, observed in enumerate(table.means)
        ]
    )


def _interval(
    drawn: NDArray[np.float64], left_out: NDArray[np.float64], observed: float, reach: float
) -> tuple[float, float]:
    drawn, left_out = drawn[np.isfinite(drawn)], left_out[np.isfinite(left_out)]
    if not drawn.size:
        return math.nan, math.nan
    below = np.count_nonzero(drawn < observed) + np.count_nonzero(drawn == observed) / 2
    part = min(max(below / len(drawn), 0.5 / len(drawn)), 1 - 0.5 / len(drawn))
    bias = NORMAL.inv_cdf(part)
    spread = left_out.mean() - left_out
    variance = float(np.square(spread).sum())
    skew = float((spread**3).sum()) / (6 * variance**1.5) if variance > 0 else 0.0
    # Where the correction's denominator reaches zero, the end is the furthest draw.
    ends = [
        NORMAL.cdf(bias + moved / max(1 - skew * moved, NEAR))
        for moved in (bias - reach, bias + reach)
    ]
    low, high = np.quantile(drawn, ends)
    return float(low), float(high)


def sign_flip(
    table: PersonSums, *, samples: int, rng: np.random.Generator
) -> tuple[NDArray[np.float64], bool]:
    """Two-sided p values (K,) of no difference, by flipping the sign of whole people.

    If A and B are exchangeable for every person, each person's sum is as likely with the other
    sign. Up to 14 people every flip is counted and p is exact; of more, `samples` flips are drawn
    and p is (1 + as extreme) / (1 + samples) (Phipson and Smyth, 2010), which keeps the level.

    Returns:
        The p values, and whether they are exact.
    """
    exact = table.people <= EXACT_PEOPLE
    if exact:
        signs = np.array(list(product((1, -1), repeat=table.people)), np.int8)
    else:
        signs = (2 * rng.integers(0, 2, (samples, table.people), np.int8) - 1).astype(np.int8)
    observed = np.abs(table.sums.sum(axis=0))
    scale = np.abs(table.sums).sum(axis=0)
    extreme = np.abs(signs @ table.sums) >= observed - NEAR * scale
    found = np.count_nonzero(extreme, axis=0)
    return (found / len(signs) if exact else (found + 1) / (samples + 1)), exact


def detectable_factor(people: int, power: float = 0.8, level: float = 0.05) -> float:
    """Standard errors that a true difference must have to be found with this power.

    Of a two-sided t test over G people: t(1 - level / 2) + t(power) with G - 1 degrees of freedom.
    """
    return student_quantile(1 - level / 2, people - 1) + student_quantile(power, people - 1)


def student_quantile(part: float, freedom: int) -> float:
    """Quantile of Student's t, to 0.5 % from three degrees of freedom on, exact below.

    By the expansion about the normal quantile (Abramowitz and Stegun, 26.7.5).
    """
    if freedom == 1:
        return math.tan(math.pi * (part - 0.5))
    if freedom == 2:
        return (2 * part - 1) * math.sqrt(2 / (4 * part * (1 - part)))
    z = NORMAL.inv_cdf(part)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + math.fsum(term / freedom**power for power, term in enumerate(terms, start=1))
