"""People's age, sex, weight and height against the area of their bones."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from handbone_cli.anatomy.hand import FOREARM
from handbone_cli.data.metadata import record_of
from handbone_cli.dataset_figures import BodyFigures, Correlation, Ratio
from handbone_cli.significance import holm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.data.metadata import PersonRecord
    from handbone_cli.dataset_figures import ImageFigures

MEASURES = ("age", "weight", "height")
LEAST_PEOPLE = 5
LEAST_OF_A_SEX = 3
Z95 = 1.959963985
LEVEL = 0.05
Finding = TypeVar("Finding", Correlation, Ratio)


def relate_bodies(
    images: Sequence[ImageFigures],
    class_names: Sequence[str],
    records: Mapping[str, PersonRecord],
) -> BodyFigures:
    """Compare people over the mean of their labelled images.

    Areas are shares of the image, so images of one scale are assumed. Every bone counts alone; the
    area of the whole hand is that of all bones but Radius and Ulna, which image borders cut, over
    images that have all of them; a bone that most images lack is not counted.
    """
    people = sorted({image.person for image in images})
    found = {person: record for person in people if (record := record_of(records, person))}
    persons, missing = tuple(found), tuple(person for person in people if person not in found)
    left_out = tuple(name for name in class_names if name in FOREARM)
    left_out = left_out if len(left_out) < len(class_names) else ()
    there = np.mean([image.areas > 0 for image in images if image.areas is not None], axis=0)
    counted = [p for p, name in enumerate(class_names) if name not in left_out and there[p] > 0.5]
    bones = _mean_areas(images, persons)
    area = _mean_sums(images, persons, counted)
    measures = {
        name: np.array([_number(getattr(record, name)) for record in found.values()])
        for name in MEASURES
    }
    sexes = tuple(record.sex for record in found.values())
    return BodyFigures(
        persons,
        sexes,
        measures,
        area,
        left_out,
        {name: correlate(measures[name], area) for name in MEASURES},
        _corrected([correlate(measures["height"], column) for column in bones.T]),
        _corrected([compare_sexes(sexes, column) for column in bones.T]),
        missing,
    )


def correlate(x: NDArray[np.float64], y: NDArray[np.float64]) -> Correlation | None:
    """Pearson's r with the interval by Fisher's transformation; None for fewer than 5 people."""
    both = ~np.isnan(x) & ~np.isnan(y)
    x, y, people = x[both], y[both], int(np.count_nonzero(both))
    if people < LEAST_PEOPLE or not np.ptp(x) or not np.ptp(y):
        return None
    slope, intercept = np.polyfit(x, y, 1)
    r = float(np.corrcoef(x, y)[0, 1])
    middle, half = math.atanh(max(min(r, 1 - 1e-12), 1e-12 - 1)), Z95 / math.sqrt(people - 3)
    low, high = math.tanh(middle - half), math.tanh(middle + half)
    return Correlation(people, r, low, high, float(slope), float(intercept))


def compare_sexes(sexes: Sequence[str | None], y: NDArray[np.float64]) -> Ratio | None:
    """Ratio of geometric means, men to women, with Welch's interval; None for fewer than 3."""
    known = ~np.isnan(y)
    groups = [
        np.log(y[known & np.array([sex == wanted for sex in sexes], bool)])
        for wanted in ("female", "male")
    ]
    if min(map(len, groups)) < LEAST_OF_A_SEX:
        return None
    women, men = groups
    difference = float(men.mean() - women.mean())
    error = math.sqrt(sum(float(group.var(ddof=1)) / len(group) for group in groups))
    low, high = difference - Z95 * error, difference + Z95 * error
    return Ratio(len(women), len(men), math.exp(difference), math.exp(low), math.exp(high))


def _corrected(findings: Sequence[Finding | None]) -> tuple[Finding | None, ...]:
    """Mark what differs from nothing at 5 % after Holm's correction."""
    tested = [place for place, finding in enumerate(findings) if finding is not None]
    adjusted = holm(np.array([_p_value(finding) for finding in findings if finding is not None]))
    certain = {place for place, p in zip(tested, adjusted, strict=True) if p <= LEVEL}
    return tuple(
        replace(finding, certain=place in certain) if finding is not None else None
        for place, finding in enumerate(findings)
    )


def _p_value(finding: Correlation | Ratio) -> float:
    """Two-sided, normal on the scale on which the interval is symmetric."""
    scale = math.atanh if isinstance(finding, Correlation) else math.log
    low, high = scale(finding.low), scale(finding.high)
    half = (high - low) / 2
    if half == 0:
        return 0.0 if low else 1.0
    return math.erfc(abs(low + high) / 2 / half * Z95 / math.sqrt(2))


def _mean_areas(images: Sequence[ImageFigures], persons: Sequence[str]) -> NDArray[np.float64]:
    """(P, C) mean share of every bone over the images of a person that have it."""
    place = {person: row for row, person in enumerate(persons)}
    classes = len(images[0].areas) if images and images[0].areas is not None else 0
    total, count = np.zeros((len(persons), classes)), np.zeros((len(persons), classes))
    for image in images:
        if image.person in place and image.areas is not None:
            total[place[image.person]] += image.areas / image.pixels
            count[place[image.person]] += image.areas > 0
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _mean_sums(
    images: Sequence[ImageFigures], persons: Sequence[str], counted: Sequence[int]
) -> NDArray[np.float64]:
    """(P,) mean share of some bones together over the images of a person that have them all."""
    sums: dict[str, list[float]] = {person: [] for person in persons}
    for image in images:
        areas = image.areas[counted] if image.areas is not None else np.zeros(1)
        if image.person in sums and areas.size and areas.all():
            sums[image.person].append(float(areas.sum()) / image.pixels)
    return np.array([np.mean(found) if found else np.nan for found in sums.values()])


def _number(value: float | None) -> float:
    return np.nan if value is None else float(value)
