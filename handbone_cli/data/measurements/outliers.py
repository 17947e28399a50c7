"""Bones unlike the others': of a strange area for the hand, or not where its other bones put them.

Scores are modified z-scores, from median and median absolute deviation (Iglewicz and Hoaglin,
"How to Detect and Handle Outliers", 1993).
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.dataset_figures import LEAST_IMAGES, OUTLYING, Outlier, hand_points

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.dataset_figures import ImageFigures

LEAST_BONES = 4
LEAST_AREA_SPREAD = 0.03
"""Natural logarithm: a spread below 3 % is taken as 3 %."""

NORMAL_POWER = 2 / 3
"""Of distances, which are then spread nearly normally (Wilson and Hilferty, 1931)."""

LEAST_DISTANCE_SPREAD = 0.008
"""Of longer sides of the image to that power: 4 px of 2048 at a usual distance of 8 px."""


def find_outliers(images: Sequence[ImageFigures]) -> list[Outlier]:
    """The outlying bones of labelled images, the worst first.

    Straight and bent wrists are judged apart, each where there are 8 or more of them.
    """
    groups = [[image for image in images if image.bent == bent] for bent in (False, True)]
    found = [outlier for group in groups if group for outlier in _find_in_group(group)]
    return sorted(found, key=lambda outlier: (-outlier.score, outlier.image_id, outlier.index))


def _find_in_group(images: Sequence[ImageFigures]) -> list[Outlier]:
    areas = np.array([image.areas for image in images], np.float64)
    area_z = area_scores(areas / np.array([[image.pixels] for image in images]))
    distances = place_distances(np.array([hand_points(image) for image in images]))
    distance_z = modified_z(distances**NORMAL_POWER, LEAST_DISTANCE_SPREAD)
    strange = (np.abs(area_z) >= OUTLYING) | (distance_z >= OUTLYING)
    return [
        Outlier(
            images[row].image_id,
            int(index),
            float(area_z[row, index]),
            float(distances[row, index]),
            float(distance_z[row, index]),
        )
        for row, index in np.argwhere(strange)
    ]


def area_scores(areas: NDArray[np.float64]) -> NDArray[np.float64]:
    """Modified z of (N, C) areas against the same bone of others, in hands of the same size.

    The size of a hand is the median of log(area / the bone's median area) over its bones, so that
    a small hand is not strange in all its bones. NaN for a bone that is not there.
    """
    logs = np.log(np.where(areas > 0, areas, np.nan))
    relative = logs - _median(logs, axis=0)
    return modified_z(relative - _median(relative, axis=1)[:, None], LEAST_AREA_SPREAD)


def place_distances(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far (N, C, 2) centroids lie from where the other bones of the image put them: (N, C).

    Every hand is moved, turned and scaled onto the median hand by least squares (Procrustes), the
    worst quarter of its bones left out of the fit, so that a wrong one does not pull the others.
    NaN for a bone that is not there and in hands of fewer than 4 bones.
    """
    z = points[..., 0] + 1j * points[..., 1]
    reference = _complex_median(z)
    for _ in range(2):
        reference = _complex_median(np.array([_aligned(hand, reference) for hand in z]))
    return np.abs(np.array([_aligned(hand, reference) for hand in z]) - reference)


def modified_z(values: NDArray[np.float64], least_spread: float) -> NDArray[np.float64]:
    """0.6745 (x - median) / MAD by column of (N, C); NaN in columns of fewer than 8 values."""
    centre = _median(values, axis=0)
    deviation = values - centre
    spread = np.maximum(1.4826 * _median(np.abs(deviation), axis=0), least_spread)
    enough = np.count_nonzero(~np.isnan(values), axis=0) >= LEAST_IMAGES
    return np.where(enough, deviation / spread, np.nan)


def _aligned(
    hand: NDArray[np.complex128], reference: NDArray[np.complex128]
) -> NDArray[np.complex128]:
    """A hand (C,) moved, turned and scaled onto another; points are x + iy."""
    used = ~np.isnan(hand) & ~np.isnan(reference)
    if np.count_nonzero(used) < LEAST_BONES:
        return np.full_like(hand, np.nan)
    first = _fit(hand, reference, used)
    misses = np.abs(first - reference)
    kept = used & (misses <= np.quantile(misses[used], 0.75))
    return _fit(hand, reference, kept) if np.count_nonzero(kept) >= LEAST_BONES else first


def _fit(
    hand: NDArray[np.complex128], reference: NDArray[np.complex128], used: NDArray[np.bool_]
) -> NDArray[np.complex128]:
    middle, target = hand[used].mean(), reference[used].mean()
    centred = hand[used] - middle
    power = float(np.sum(np.abs(centred) ** 2))
    turn = np.sum(np.conj(centred) * (reference[used] - target)) / power if power else 1.0
    return np.asarray(turn * (hand - middle) + target, np.complex128)


def _complex_median(z: NDArray[np.complex128]) -> NDArray[np.complex128]:
    return np.asarray(_median(z.real, axis=0) + 1j * _median(z.imag, axis=0), np.complex128)


def _median(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    """Without NaN; NaN where there is nothing else."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # "All-NaN slice": what NaN says too
        return np.asarray(np.nanmedian(values, axis=axis), np.float64)
