"""The weighted sum of members as probabilities of its own, which decides as the members would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.decision.decide import weighted_sum
from handbone_cli.decision.document import HALF
from handbone_cli.masks import EMPTY, union_box
from handbone_cli.store.boxes import CORE, BoxedProbabilities

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import Box


def summed(
    members: Sequence[BoxedProbabilities],
    weights: NDArray[np.float64],
    thresholds: NDArray[np.float64],
) -> BoxedProbabilities:
    """Sum(w q) of M members of one image, rounded to a level on its own side of the threshold.

    So sum(w q) > 255 t holds just where the rounded sum is above 255 t: masks made of it are those
    of the members. A value is at most half a level off, or a whole one beside the threshold.

    Args:
        members: of one size, with C classes.
        weights: (C, M), as in a decision.
        thresholds: (C,).
    """
    levels = np.floor(255 * thresholds).astype(int)

    def plane(index: int) -> tuple[NDArray[np.uint8], Box]:
        box = union_box(member.box(index) for member in members)
        if box == EMPTY:
            return np.zeros((0, 0), np.uint8), EMPTY
        crops = [member.crop(index, box) for member in members]
        return _rounded(weighted_sum(crops, weights[index]), float(thresholds[index])), box

    cores = [int(min(CORE, level + 1)) for level in levels]
    return BoxedProbabilities.from_planes(len(levels), members[0].size, plane, cores)


def mean(members: Sequence[BoxedProbabilities]) -> BoxedProbabilities:
    """The mean of models that count as one member, at one half."""
    if len(members) == 1:
        return members[0]
    classes = len(members[0].boxes)
    weights = np.full((classes, len(members)), 1 / len(members))
    return summed(members, weights, np.full(classes, HALF))


def _rounded(total: NDArray[np.float64], threshold: float) -> NDArray[np.uint8]:
    """The nearest level above 255 t of what is above it, and at most 255 t of the rest."""
    below = np.floor(255 * threshold)
    nearest = np.rint(total)
    above = total > 255 * threshold
    return np.where(above, np.maximum(nearest, below + 1), np.minimum(nearest, below)).astype(
        np.uint8
    )
