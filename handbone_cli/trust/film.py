"""The scores of one film: of every bone, and of the whole."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.masks import EMPTY, PackedMask, tight_box
from handbone_cli.scores import dice, overlap_counts
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.trust.evidence import Evidence, gather
from handbone_cli.trust.hands import HALF
from handbone_cli.trust.score_model import ScoreModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

NO_HAND = 0.2
"""Scores of bones that were found, in the mean, below which they are no hand: chests, pictures and
noise stay under 0.1, hands that were found under all odds lie above 0.25."""


@dataclass(frozen=True, eq=False)
class FilmTrust:
    """How far the masks of a film are to be trusted.

    Attributes:
        scores: (C,) the Dice to be expected of every bone; 0 for one that is missing, nan for one
            that is neither found nor expected.
        evidence: what they come of.
    """

    scores: NDArray[np.float64]
    evidence: Evidence

    @property
    def score(self) -> float:
        """Of the film: the mean of its bones', missing ones with 0; 0 where there is none."""
        return _mean(self.scores)

    @property
    def is_refused(self) -> bool:
        """Whether no hand is to be made out (for other classes: nothing at all)."""
        found = self.evidence.found
        if self.evidence.hands is None:
            return not found.any()
        return self.evidence.hands == 0 or _mean(self.scores[found]) < NO_HAND


def trust_film(
    probabilities: BoxedProbabilities,
    class_names: Sequence[str],
    others: Sequence[BoxedProbabilities] = (),
) -> FilmTrust:
    """Judge the masks of one film at one half.

    Args:
        probabilities: of C classes.
        class_names: C names; the shape model is asked where they are a hand's bones.
        others: further predictions of the same film, to be agreed with.
    """
    evidence = gather(probabilities, class_names, others)
    return FilmTrust(_model().scores(evidence), evidence)


def shows_hand(quantised: NDArray[np.uint8]) -> bool:
    """Whether q = rint(255 p) of the 29 bones (29, h, w) make up a hand that can be believed."""
    boxes = [tight_box(plane > 0) for plane in quantised]
    crops = tuple(q[y0:y1, x0:x1] for q, (y0, y1, x0, x1) in zip(quantised, boxes, strict=True))
    size = (int(quantised.shape[1]), int(quantised.shape[2]))
    film = BoxedProbabilities(size, np.array(boxes, np.int32), crops)
    return not trust_film(film, HAND_BONES).is_refused


def dice_at_half(probabilities: BoxedProbabilities, truth: PackedMask) -> NDArray[np.float64]:
    """(C,) the Dice that the scores are to foretell; nan for a class that is in neither."""
    mask = PackedMask.empty(probabilities.size, len(probabilities.crops))
    for index, crop in enumerate(probabilities.crops):
        if probabilities.box(index) != EMPTY:
            mask.add(index, probabilities.box(index), crop > HALF)
    both, found, there = overlap_counts(mask, truth).T
    return np.where(found + there > 0, dice(both, found, there), np.nan)


def _mean(scores: NDArray[np.floating]) -> float:
    known = scores[np.isfinite(scores)]
    return float(known.mean()) if known.size else 0.0


@lru_cache(maxsize=1)
def _model() -> ScoreModel:
    return ScoreModel.load()
