"""What bones predict of each other: their features, linear in the shape model's coefficients.

features = mean + loadings z + noise, with z the twenty modes and a small similarity, is a linear
Gaussian model: a factor analysis whose loadings are known. All predictions of one bone by the
others follow from it in closed form.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from handbone_cli.anatomy.hand import FOREARM, HAND_BONES
from handbone_cli.anatomy.outline_features import (
    FEATURES,
    Similarity,
    evenly,
    features_of,
    wrist_end,
)
from handbone_cli.anatomy.shape_model import ShapeModel

if TYPE_CHECKING:
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"

BONES = len(HAND_BONES)
FOREARM_BONES = tuple(HAND_BONES.index(name) for name in FOREARM)
BEND_SD = 0.5
"""SD of the first coefficient (wrist bending) around the bend at which features are linear."""
SIMILARITY_SD = np.array(
    [0.3, 0.3, 0.5, 0.5]
)  # radians, log scale, units: wide, so that it is free
CAP = 60.0
"""Squared SDs: a bone further off costs no more, and is left out of the fit."""

# What a bone is off by beyond the twenty modes: SDs of its place (units), of its size (log) and of
# its slenderness and direction, in thousandths and in the order of the bones. Leave-one-out
# residuals of 24 real hands (labels of the majority of five models) less what the modes explain,
# times 1.2, and at least what bones of the kind have.
# fmt: off
NOISE = np.array(
    [
        [8.5, 4, 4.5, 4, 3, 3, 4, 4, 3, 3.5, 3.5, 4, 3, 3, 3, 6, 3, 3.5, 3, 6.5, 4.5, 3.5, 3.5,
         3.5, 4.5, 4.5, 8.5, 10.5, 8],
        [44, 28, 31, 28, 22, 22, 22, 28, 22, 31, 22, 30, 25, 22, 22, 30, 22, 24, 22, 45, 48, 35,
         35, 56, 74, 53, 49, 30, 50],
        [160, 69, 57, 67, 32, 34, 32, 65, 32, 32, 32, 66, 34, 32, 32, 123, 65, 50, 39, 60, 102,
         60, 60, 119, 86, 82, 103, 84, 52],
    ]
)
# fmt: on


@dataclass(frozen=True, eq=False)
class Residuals:
    """What sets each bone apart from the prediction by all others; no sense where it is missing.

    Attributes:
        off: (29, 5) features less their prediction.
        sd: (29, 5) of that prediction and of bones in general.
        squared: (29,) Mahalanobis distance squared of all five.
        position: (29,) SDs of the place alone (two dimensions).
        size: (29,) SDs of half the log of the area, with its sign.
    """

    off: Floats
    sd: Floats
    squared: Floats
    position: Floats
    size: Floats


@dataclass(frozen=True, eq=False)
class LinearFeatures:
    """features = mean + loadings z around one bend; z: twenty modes, angle, log scale, shift.

    Attributes:
        base: (20,) coefficients that z is counted from.
        mean: (29, 5) features there, forearm bones by their wrist end.
        loadings: (29, 5, 24).
        precision: (24, 24) of z before any bone is seen.
    """

    base: Floats
    mean: Floats
    loadings: Floats
    precision: Floats


@lru_cache(maxsize=4)
def linear_features(bend: float) -> LinearFeatures:
    """The model around a first coefficient of `bend` SDs; made once in a process."""
    model = ShapeModel.load()
    base = np.zeros(len(model.displacements))
    base[0] = bend
    middle = model.mean + bend * model.displacements[0]
    mean = _features(middle)
    columns = [
        _features(middle + field / 2) - _features(middle - field / 2)
        for field in model.displacements
    ]
    step, zero = 1e-3, np.zeros(2)
    moves = Similarity(step, 1.0, zero), Similarity(0.0, float(np.exp(step)), zero)
    columns += [(move.features(mean) - mean) / step for move in moves]
    columns += [np.broadcast_to(np.eye(FEATURES)[axis], mean.shape) for axis in (0, 1)]
    sds = np.r_[BEND_SD, np.ones(len(base) - 1), SIMILARITY_SD]
    return LinearFeatures(base, mean, np.stack(columns, axis=-1), np.diag(1 / sds**2))


def _features(shape: NDArray[np.floating]) -> Floats:
    features = features_of(np.asarray(shape, np.float64))
    forearm = np.stack([evenly(shape[bone]) for bone in FOREARM_BONES])
    features[list(FOREARM_BONES)] = features_of(wrist_end(forearm, np.zeros(2), 1.0))
    return features


def _noise_variance() -> Floats:
    position, size, way = (NOISE / 1000) ** 2
    return np.stack([position, position, size, way, way], axis=1)


def as_named(whole: Floats, ends: Floats) -> Floats:
    """Features of every outline as its name is compared: forearm bones by their wrist end."""
    seen = np.array(whole)
    seen[list(FOREARM_BONES)] = ends[list(FOREARM_BONES)]
    return seen


def _information(linear: LinearFeatures, weights: Floats) -> tuple[Floats, Floats]:
    """Of each bone on z (29, 24, 24), and the weighted loadings (29, 5, 24)."""
    weighted = linear.loadings * (weights[:, None] / _noise_variance())[..., None]
    return np.einsum("bfk,bfl->bkl", linear.loadings, weighted), weighted


def solve(linear: LinearFeatures, seen: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """The most likely z (24,) for features (29, 5) and weights (29,), and its precision."""
    each, weighted = _information(linear, weights)
    precision = linear.precision + each.sum(axis=0)
    score = np.einsum("bfk,bf->k", weighted, seen - linear.mean)
    return np.linalg.solve(precision, score), precision


def leave_one_out(linear: LinearFeatures, seen: Floats, weights: Floats) -> Residuals:
    """Predict every bone's features (29, 5) from those of the others, by their weights (29,)."""
    each, weighted = _information(linear, weights)
    scores = np.einsum("bfk,bf->bk", weighted, seen - linear.mean)
    spread = np.linalg.inv(linear.precision + each.sum(axis=0) - each)
    z = np.einsum("bkl,bl->bk", spread, scores.sum(axis=0) - scores)
    off = seen - linear.mean - np.einsum("bfk,bk->bf", linear.loadings, z)
    covariance = np.einsum("bfk,bkl,bgl->bfg", linear.loadings, spread, linear.loadings)
    covariance[:, range(FEATURES), range(FEATURES)] += _noise_variance()
    squared = np.einsum("bf,bf->b", off, np.linalg.solve(covariance, off[..., None])[..., 0])
    place = np.linalg.solve(covariance[:, :2, :2], off[:, :2, None])[..., 0]
    sd = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    position = np.sqrt(np.einsum("bf,bf->b", off[:, :2], place))
    return Residuals(off, sd, squared, position, off[:, 2] / sd[:, 2])


def swap_gains(
    linear: LinearFeatures, whole: Floats, ends: Floats, present: NDArray[np.bool_], weights: Floats
) -> Floats:
    """What every exchange of two names gains (29, 29), each pair judged by all other bones."""
    first, second = np.triu_indices(BONES, 1)
    both = present[first] & present[second]
    first, second = first[both], second[both]
    seen = as_named(whole, ends)
    each, weighted = _information(linear, weights)
    scores = np.einsum("bfk,bf->bk", weighted, seen - linear.mean)
    precision = linear.precision + each.sum(axis=0) - each[first] - each[second]
    spread = np.linalg.inv(precision)
    score = scores.sum(axis=0) - scores[first] - scores[second]
    z = np.einsum("pkl,pl->pk", spread, score)
    forms = np.stack([whole, ends])
    form = np.isin(np.arange(BONES), FOREARM_BONES).astype(int)
    gain = np.zeros(len(first))
    for name, other in ((first, second), (second, first)):
        loadings = linear.loadings[name]
        covariance = loadings @ spread @ np.swapaxes(loadings, 1, 2)
        covariance[:, range(FEATURES), range(FEATURES)] += _noise_variance()[name]
        likely = linear.mean[name] + np.einsum("pfk,pk->pf", loadings, z)
        for outline, sign in ((name, 1.0), (other, -1.0)):
            off = forms[form[name], outline] - likely
            squared = np.einsum(
                "pf,pf->p", off, np.linalg.solve(covariance, off[..., None])[..., 0]
            )
            gain += sign * np.minimum(squared, CAP)
    gains = np.zeros((BONES, BONES))
    gains[first, second] = gains[second, first] = gain
    return gains
