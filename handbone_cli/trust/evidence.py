"""What speaks for the masks of one film: its probabilities, its anatomy, and other predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.masks import union_box
from handbone_cli.scores import dice
from handbone_cli.trust.hands import HALF, Hand, hands_of, regions_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.trust.hands import Region


@dataclass(frozen=True, eq=False)
class Evidence:
    """Of C classes on one film; nan where a figure means nothing.

    Attributes:
        found: (C,) whether the class has any pixel at one half.
        missing: (C,) whether it has none though the hand's other bones expect it on the film.
        confidence: (C,) the Dice that its own probabilities make expect.
        agreement: (C,) mean Dice with the masks of other predictions.
        distance: (C,) squared SDs of place, size and shape from what the hand's other bones say.
        stray: (C,) share of its pixels that belong to no hand.
        hands: how many hands there are; None where the classes are not a hand's bones.
    """

    found: NDArray[np.bool_]
    missing: NDArray[np.bool_]
    confidence: NDArray[np.float64]
    agreement: NDArray[np.float64]
    distance: NDArray[np.float64]
    stray: NDArray[np.float64]
    hands: int | None


def gather(
    probabilities: BoxedProbabilities,
    class_names: Sequence[str],
    others: Sequence[BoxedProbabilities] = (),
) -> Evidence:
    """Gather what speaks for one film's masks at one half.

    Args:
        probabilities: of C classes.
        class_names: C names; anatomy is asked where they are the bones of a hand, in any order.
        others: further predictions of the same film: of other models, views or passes.
    """
    count = len(class_names)
    confidence, agreement = np.full((2, count), np.nan)
    for index in range(count):
        confidence[index] = expected_dice(probabilities.crops[index])
        if others and np.isfinite(confidence[index]):
            agreement[index] = np.mean([_shared(probabilities, other, index) for other in others])
    found = np.isfinite(confidence)
    nothing = np.full(count, np.nan)
    bones = bone_indices(class_names)
    if bones is None:
        return Evidence(found, np.zeros(count, bool), confidence, agreement, nothing, nothing, None)
    regions = regions_of(probabilities, bones)
    hands = hands_of(regions)
    distance, stray, missing = _anatomy(hands, regions, probabilities.size, bones)
    distance, stray = (np.where(found, each, np.nan) for each in (distance, stray))
    return Evidence(found, missing & ~found, confidence, agreement, distance, stray, len(hands))


def expected_dice(quantised: NDArray[np.uint8]) -> float:
    """The Dice that the mask at one half has if each pixel is bone as often as p = q / 255 says.

    2 sum(p in the mask) / (its pixels + sum(p)), the ratio of expectations; nan for an empty mask.
    """
    inside = quantised > HALF
    pixels = int(np.count_nonzero(inside))
    if not pixels:
        return float("nan")
    total = float(quantised.sum(dtype=np.int64)) / 255
    return 2 * float(quantised[inside].sum(dtype=np.int64)) / 255 / (pixels + total)


def bone_indices(class_names: Sequence[str]) -> NDArray[np.intp] | None:
    """(C,) the bone of the shape model of every class; None if they are not all its bones."""
    if sorted(class_names) != sorted(HAND_BONES):
        return None
    return np.array([HAND_BONES.index(name) for name in class_names], np.intp)


def _shared(one: BoxedProbabilities, other: BoxedProbabilities, index: int) -> float:
    box = union_box([one.box(index), other.box(index)])
    a, b = (each.crop(index, box) > HALF for each in (one, other))
    counts = [np.array(np.count_nonzero(each)) for each in (a & b, a, b)]
    return float(dice(*counts))


def _anatomy(
    hands: Sequence[Hand],
    regions: Sequence[Region],
    size: tuple[int, int],
    bones: NDArray[np.intp],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Distance, stray share and whether a bone is expected on the film, of every class."""
    count = len(bones)
    total, own = np.zeros((2, count))
    taken = {id(region) for hand in hands for region in hand.regions}
    for region in regions:
        total[region.index] += region.area
        own[region.index] += region.area if id(region) in taken else 0
    distance, missing = np.full(count, np.nan), np.zeros(count, bool)
    for hand in hands:
        distance = np.fmax(distance, hand.distances[bones])
        x, y = hand.expected.T
        missing |= ((x >= 0) & (y >= 0) & (x < size[1]) & (y < size[0]))[bones]
    stray = 1 - np.divide(own, total, out=np.zeros(count), where=total > 0)
    return distance, stray, missing
