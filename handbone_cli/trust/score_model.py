"""From evidence to a score a bone: the Dice that is expected of its mask, 0 to 1.

A logistic regression of Dice on the evidence, as for fractions (Papke and Wooldridge 1996), with
a small ridge. It was fitted on generated films, whose truth is known (recipes/pretrained).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.trust.evidence import Evidence

FILE = "score_model.json"
IMPLAUSIBLE, FARTHEST = 60.0, 1e4  # squared SDs: hardly ever seen; more than these do not count
RIDGE, ROUNDS = 1e-3, 30
OWN, ANATOMY, AGREEMENT = "own", "anatomy", "agreement"
KINDS = ((OWN,), (OWN, ANATOMY), (OWN, AGREEMENT), (OWN, ANATOMY, AGREEMENT))


@dataclass(frozen=True)
class ScoreModel:
    """Coefficients for every kind of evidence that there may be."""

    coefficients: Mapping[str, Sequence[float]]

    @classmethod
    def load(cls) -> ScoreModel:
        """Those that come with handbone."""
        text = resources.files("handbone_cli.trust").joinpath(FILE).read_text()
        return cls(json.loads(text)["coefficients"])

    @classmethod
    def fit(cls, films: Sequence[Evidence], dice: Sequence[NDArray[np.floating]]) -> ScoreModel:
        """Fit to films of which the Dice (C,) of every bone is known, for all kinds that they have.

        Raises:
            ValueError: no film has a bone.
        """
        found: dict[str, Sequence[float]] = {}
        for kinds in KINDS:
            if not all(_has(film, kinds) for film in films):
                continue
            table = np.concatenate([_table(film, kinds)[film.found] for film in films])
            target = np.concatenate([d[film.found] for film, d in zip(films, dice, strict=True)])
            if not len(table):
                raise ValueError("no film has a bone")
            found["+".join(kinds)] = [round(float(c), 5) for c in _regression(table, target)]
        return cls(found)

    def scores(self, film: Evidence) -> NDArray[np.float64]:
        """(C,) the expected Dice of every bone: 0 for a missing one, nan for one not expected."""
        kinds = max((k for k in KINDS if _has(film, k)), key=len)
        table = _table(film, kinds)
        coefficients = np.asarray(self.coefficients["+".join(kinds)])
        scores = 1 / (1 + np.exp(-(table @ coefficients)))
        return np.where(film.found, scores, np.where(film.missing, 0.0, np.nan))


def _has(film: Evidence, kinds: Sequence[str]) -> bool:
    if ANATOMY in kinds and film.hands is None:
        return False
    return AGREEMENT not in kinds or bool(np.isfinite(film.agreement[film.found]).all())


def _table(film: Evidence, kinds: Sequence[str]) -> NDArray[np.float64]:
    """(C, features): every bone's own figures and what they are on the whole film."""
    count = len(film.found)
    own = _logit(film.confidence)
    columns = [np.ones(count), own, np.full(count, _mean(own))]
    if ANATOMY in kinds:
        far: NDArray[np.float64] = np.log1p(
            np.minimum(np.nan_to_num(film.distance, nan=FARTHEST), FARTHEST)
        )
        far[~film.found] = np.nan
        expected = film.found | film.missing
        gone = float(film.missing.sum()) / max(float(expected.sum()), 1.0)
        beyond = np.maximum(far - np.log1p(IMPLAUSIBLE), 0)
        columns += [far, beyond, film.stray, np.full(count, _mean(far)), np.full(count, gone)]
    if AGREEMENT in kinds:
        agreed = _logit(film.agreement)
        columns += [agreed, np.full(count, _mean(agreed))]
    return np.asarray(np.nan_to_num(np.stack(columns, axis=1)), np.float64)


def _logit(share: NDArray[np.floating]) -> NDArray[np.float64]:
    clipped = np.clip(share, 0.01, 0.995)
    odds: NDArray[np.float64] = np.log(clipped / (1 - clipped))
    return odds


def _mean(values: NDArray[np.floating]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else 0.0


def _regression(table: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """Iteratively reweighted least squares of a fraction's logit."""
    coefficients: NDArray[np.float64] = np.zeros(table.shape[1])
    penalty = RIDGE * len(table) * np.eye(table.shape[1])
    penalty[0, 0] = 0.0
    for _ in range(ROUNDS):
        expected = 1 / (1 + np.exp(-(table @ coefficients)))
        weights = np.maximum(expected * (1 - expected), 1e-6)
        step = np.linalg.solve(
            (table * weights[:, None]).T @ table + penalty,
            table.T @ (target - expected) - penalty @ coefficients,
        )
        coefficients = coefficients + step
        if np.abs(step).max() < 1e-8:
            break
    return np.asarray(coefficients, np.float64)
