"""Two sets of masks against each other on the same people: is one better, on which bones, or tie.

Everything is paired by image and clustered by person; see `paired_tests` for the methods.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.results import paired_tests
from handbone_cli.scores import clustered_error, dice_per_class
from handbone_cli.significance import holm

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import LabelSource, MaskSource, PackedMask

LEVEL = 0.05
"""Of the tests; intervals are of 1 - LEVEL."""
POWER = 0.8
STREAM = 0xC03A
"""Keeps the draws apart from others under one seed."""


@dataclass(frozen=True)
class Metric:
    """What masks are compared by.

    Attributes:
        name: for people.
        score: (masks, truth) of one image -> (C,) float64; nan where it is not defined.
        higher_is_better: False of distances.
    """

    name: str
    score: Callable[[PackedMask, PackedMask], NDArray[np.float64]]
    higher_is_better: bool = True


DICE = Metric("Dice", dice_per_class)


@dataclass(frozen=True, eq=False)
class Scores:
    """Both sides' scores of the same N images.

    Attributes:
        image_ids: N names.
        persons: whose they are.
        class_names: C names.
        values: (2, N, C), of A and of B.
        metric: what was measured.
    """

    image_ids: Sequence[str]
    persons: Sequence[str]
    class_names: Sequence[str]
    values: NDArray[np.float64]
    metric: Metric = DICE


@dataclass(frozen=True, eq=False)
class Finding:
    """What is known of one mean difference, A less B.

    Attributes:
        means: of A and of B.
        difference: the mean of A less B over images; nan where no image has both.
        interval: of the difference at 95 %, by itself.
        p: two-sided, of no difference; of a bone after Holm's correction for all bones.
    """

    means: tuple[float, float]
    difference: float
    interval: tuple[float, float]
    p: float

    @property
    def certain(self) -> bool:
        """Whether A and B differ at 5 %; else they tie."""
        return self.p < LEVEL


@dataclass(frozen=True, eq=False)
class Comparison:
    """The answer.

    Attributes:
        scores: what it is from.
        overall: of the mean over images and bones.
        bones: C findings.
        error: standard error of the overall difference, clustered by person.
        score_errors: of A's and of B's own mean.
        smallest: the true difference that these people would show at 5 % in 80 % of such studies.
        exact: whether every flip of signs was counted.
        seed: of the draws.
        samples: draws and, beyond 14 people, flips.
    """

    scores: Scores
    overall: Finding
    bones: tuple[Finding, ...]
    error: float
    score_errors: tuple[float, float]
    smallest: float
    exact: bool
    seed: int
    samples: int

    @property
    def people(self) -> int:
        """How many there are."""
        return len(set(self.scores.persons))

    @property
    def better(self) -> int | None:
        """0 if A is better, 1 if B is, None for a tie."""
        if not self.overall.certain:
            return None
        return int((self.overall.difference > 0) != self.scores.metric.higher_is_better)

    def order(self) -> list[int]:
        """The bones, those that A gains most on first; at the end what has no difference."""
        sign = 1 if self.scores.metric.higher_is_better else -1
        gains = sign * np.array([bone.difference for bone in self.bones])
        return [int(place) for place in (-gains).argsort(kind="stable")]

    def at(self, images: int) -> tuple[int, tuple[float, float], float]:
        """What a test of another size would show: people, errors of both scores and of A less B.

        A person has as many images there as here.
        """
        people = max(round(images * self.people / len(self.scores.image_ids)), 1)
        factor = math.sqrt(self.people / people)
        a, b = self.score_errors
        return people, (a * factor, b * factor), self.error * factor

    def told(self, names: tuple[str, str], images: int) -> dict[str, Any]:
        """A JSON-able summary; nan is null."""
        people, noise, difference_noise = self.at(images)
        verdict = "tie" if self.better is None else names[self.better]
        per_bone = zip(self.scores.class_names, self.bones, strict=True)
        return {
            "a": names[0],
            "b": names[1],
            "metric": self.scores.metric.name,
            "images": len(self.scores.image_ids),
            "people": self.people,
            "better": verdict,
            **_told(self.overall),
            "standard_error": self.error,
            "exact": self.exact,
            "smallest_difference": self.smallest,
            "leaderboard": {
                "images": images,
                "people": people,
                "score_error": max(noise),
                "difference_error": difference_noise,
            },
            "bones": {name: _told(finding) for name, finding in per_bone},
            "seed": self.seed,
            "samples": self.samples,
        }


def _told(finding: Finding) -> dict[str, Any]:
    return {
        "means": [_or_none(mean) for mean in finding.means],
        "difference": _or_none(finding.difference),
        "interval": [_or_none(end) for end in finding.interval],
        "p": _or_none(finding.p),
        "differs": finding.certain,
    }


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def score_both(
    a: MaskSource,
    b: MaskSource,
    labels: LabelSource,
    report: Callable[[int, int], None],
    metric: Metric = DICE,
) -> Scores:
    """Score the labelled images that both have, A's order; three masks are in memory at a time.

    Raises:
        HandboneError: their classes differ, no image is in both with labels, or sizes differ.
    """
    if list(a.class_names) != list(b.class_names):
        raise HandboneError(
            f"the two have other classes ({', '.join(a.class_names[:3])}, ... and "
            f"{', '.join(b.class_names[:3])}, ...); compare masks of the same bones."
        )
    both = set(b.image_ids)
    shared = [name for name in a.image_ids if name in both]
    image_ids = [name for name in shared if labels.has(name)]
    if not image_ids:
        raise HandboneError(
            f"none of the {len(shared)} images that both have has labels; name them with --labels."
            if shared
            else "the two have no image in common."
        )
    values = np.empty((2, len(image_ids), len(a.class_names)))
    for place, image_id in enumerate(image_ids):
        masks = a.mask(image_id), b.mask(image_id)
        truth = labels.mask(image_id, masks[0].size)
        if not masks[0].size == masks[1].size == truth.size:
            raise HandboneError(
                f"{image_id}: the masks are {masks[0].size} and {masks[1].size}, the labels "
                f"{truth.size} px."
            )
        values[:, place] = [metric.score(mask, truth) for mask in masks]
        report(place + 1, len(image_ids))
    persons = [a.person(name) for name in image_ids]
    return Scores(image_ids, persons, list(a.class_names), values, metric)


def compare(scores: Scores, *, samples: int = 10_000, seed: int = 21) -> Comparison:
    """Compare A with B: a mean difference with its interval, a test, and the same bone by bone.

    Raises:
        HandboneError: fewer than two people.
    """
    if len(set(scores.persons)) < 2:
        raise HandboneError("all images are of one person; a comparison needs two people or more.")
    values = np.where(np.isnan(scores.values).any(axis=0), np.nan, scores.values)
    overall = _image_means(values)
    # The overall difference is column 0, so that all columns share the draws.
    columns = np.concatenate([overall[:, :, None], values], axis=2)
    differences = columns[0] - columns[1]
    table = paired_tests.by_person(differences, scores.persons)
    rng = np.random.default_rng((STREAM, seed))
    intervals = paired_tests.bootstrap_interval(table, samples=samples, rng=rng, level=1 - LEVEL)
    p_values, exact = paired_tests.sign_flip(table, samples=samples, rng=rng)
    adjusted = np.concatenate([p_values[:1], holm(p_values[1:])])
    means = [paired_tests.by_person(side, scores.persons).means for side in columns]
    findings = [
        Finding((float(a), float(b)), float(difference), (float(low), float(high)), float(p))
        for a, b, difference, (low, high), p in zip(
            *means, table.means, intervals, adjusted, strict=True
        )
    ]
    counted = np.isfinite(differences[:, 0])
    whose = [person for person, there in zip(scores.persons, counted, strict=True) if there]
    errors = [clustered_error(column[counted], whose) for column in (differences[:, 0], *overall)]
    return Comparison(
        scores,
        findings[0],
        tuple(findings[1:]),
        errors[0],
        (errors[1], errors[2]),
        paired_tests.detectable_factor(table.people, POWER, LEVEL) * errors[0],
        exact,
        seed,
        samples,
    )


def _image_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, N) mean over the bones that both sides have a score of; nan for an image without any."""
    there = np.isfinite(values)
    total = np.where(there, values, 0.0).sum(axis=2)
    counted = there.sum(axis=2)
    return np.where(counted > 0, total / np.maximum(counted, 1), np.nan)
