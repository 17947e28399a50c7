"""Validation: hard Dice per bone and per overlap on whole images, as prediction will do it."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from handbone_cli.bone_groups import DIGITS
from handbone_cli.masks import PackedMask
from handbone_cli.scores import dice_per_class, dice_per_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from handbone_cli.bone_groups import BoneGroups, Pair
    from handbone_cli.host.interfaces import Sample
    from handbone_cli.store.boxes import BoxedProbabilities

    Draw = Callable[
        [Sample, PackedMask, PackedMask, NDArray[np.float64], int], NDArray[np.uint8] | None
    ]
    """Sample, prediction, truth, Dice (C,) and epoch to (h, w, 3) RGB; None: it is not drawn."""


class Scored(NamedTuple):
    """Hard Dice of every class (C,) and of every pair's overlap (P,) of one image.

    `draw` makes its picture, if it has one.
    """

    image_id: str
    dice: NDArray[np.float64]
    overlap_dice: NDArray[np.float64] = np.zeros(0)
    draw: Callable[[int], NDArray[np.uint8] | None] | None = None


@dataclass(frozen=True, eq=False)
class Validation:
    """The means over the images of one validation.

    Attributes:
        dice: (C,) of every class.
        overlap_dice: (P,) of what the two bones of every pair share.
        groups: the P pairs, and the small bones.
    """

    dice: NDArray[np.float64]
    overlap_dice: NDArray[np.float64]
    groups: BoneGroups

    @classmethod
    def of(cls, scores: Sequence[Scored], groups: BoneGroups) -> Validation:
        """The means of all images' scores."""
        dice = np.mean([scored.dice for scored in scores], axis=0)
        overlap_dice = np.mean([scored.overlap_dice for scored in scores], axis=0)
        return cls(dice, overlap_dice, groups)

    @property
    def mean_dice(self) -> float:
        """Over classes and images."""
        return float(self.dice.mean())

    def figures(self, class_names: Sequence[str]) -> dict[str, Any]:
        """What trackers and the screen are told."""
        rounded = [round(float(each), DIGITS) for each in self.dice]
        return {
            "mean_dice": self.mean_dice,
            "dice": dict(zip(class_names, rounded, strict=True)),
            **self.groups.figures(class_names, self.dice, self.overlap_dice),
        }


def half(probabilities: BoxedProbabilities) -> PackedMask:
    """Masks at the threshold one half: q > 127.5."""
    mask = PackedMask.empty(probabilities.size, len(probabilities.crops))
    for index, crop in enumerate(probabilities.crops):
        mask.add(index, probabilities.box(index), crop > 127)
    return mask


def validate(
    samples: Sequence[Sample],
    predict: Callable[[Sample], BoxedProbabilities],
    pairs: Sequence[Pair] = (),
    draw: Draw | None = None,
) -> Iterator[Scored]:
    """Score sample after sample at full size, so that the caller can show and stop."""
    for sample in samples:
        if sample.read_labels is None:
            continue
        predicted = half(predict(sample))
        truth = PackedMask.from_labels(sample.read_labels(), predicted.size, predicted.classes)
        dice = dice_per_class(predicted, truth)
        overlap_dice = dice_per_pair(predicted, truth, pairs)
        picture = functools.partial(draw, sample, predicted, truth, dice) if draw else None
        yield Scored(sample.image_id, dice, overlap_dice, picture)


def count_stale(history: Sequence[float], min_delta: float) -> int:
    """Validations since the last gain that counts: more than `min_delta` over the one before it.

    Small gains add up: what is compared with is the last Dice that counted, not the best one.

    Args:
        history: mean Dice of every validation.
        min_delta: in Dice.
    """
    counted, stale = -math.inf, 0
    for dice in history:
        gained = dice > counted + min_delta
        counted, stale = (dice, 0) if gained else (counted, stale + 1)
    return stale
