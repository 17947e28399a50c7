"""Validation: hard Dice per bone on whole images, as prediction will do it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

from handbone_cli.masks import PackedMask
from handbone_cli.scores import dice_per_class

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.store.boxes import BoxedProbabilities

    Draw = Callable[
        [Sample, PackedMask, PackedMask, NDArray[np.float64], int], NDArray[np.uint8] | None
    ]
    """Sample, prediction, truth, Dice (C,) and epoch to (h, w, 3) RGB; None: it is not drawn."""


class Scored(NamedTuple):
    """Hard Dice of every class of one image; `draw` makes its picture, if it has one."""

    image_id: str
    dice: NDArray[np.float64]
    draw: Callable[[int], NDArray[np.uint8] | None] | None = None


def half(probabilities: BoxedProbabilities) -> PackedMask:
    """Masks at the threshold one half: q > 127.5."""
    mask = PackedMask.empty(probabilities.size, len(probabilities.crops))
    for index, crop in enumerate(probabilities.crops):
        mask.add(index, probabilities.box(index), crop > 127)
    return mask


def validate(
    samples: Sequence[Sample],
    predict: Callable[[Sample], BoxedProbabilities],
    draw: Draw | None = None,
) -> Iterator[Scored]:
    """Score sample after sample at full size, so that the caller can show and stop."""
    for sample in samples:
        if sample.read_labels is None:
            continue
        predicted = half(predict(sample))
        truth = PackedMask.from_labels(sample.read_labels(), predicted.size, predicted.classes)
        dice = dice_per_class(predicted, truth)
        picture = functools.partial(draw, sample, predicted, truth, dice) if draw else None
        yield Scored(sample.image_id, dice, picture)
