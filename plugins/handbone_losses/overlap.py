"""A penalty for missing confidence where two bones overlap."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

import numpy as np
import torch

from handbone_cli import HandboneError, rank_count, sum_over_ranks
from handbone_losses.chunks import LeanLoss, unpack_part, widen

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli import LossContext
    from handbone_losses.options import OverlapOptions

    Pixels = tuple[torch.Tensor, ...]
    Pair = tuple[int, int, Pixels]
    Met = tuple[Pair, float]

REFERENCE = 2048**2
"""Pixels of the image that `least_area` is told for."""


class OverlapLoss(LeanLoss):
    """The mean of relu(confidence - min(p_a, p_b)) where a and b are both true, in float32.

    From the winners of the competition that handbone grew out of: bones that overlap lower each
    other's probability there. The mean over a pair's pixels in the batch (of all processes), then
    over the pairs that are met; 0 if none is. It says nothing of any other pixel: add it to a loss
    that does.

    Args:
        pairs: indices of two classes each.
        confidence: the probability that both should reach.
        least_pixels: a pair on no more pixels than these costs nothing.
    """

    def __init__(
        self, pairs: Sequence[tuple[int, int]], *, confidence: float = 0.7, least_pixels: int = 10
    ) -> None:
        super().__init__()
        self.pairs = tuple(pairs)
        self.confidence, self.least_pixels = confidence, least_pixels

    def evaluate(
        self, logits: torch.Tensor, labels: torch.Tensor
    ) -> tuple[torch.Tensor, list[Met]]:
        """The value, and of each pair that is met its pixels here and what one of them weighs."""
        pairs = [(*pair, shared_pixels(labels, *pair)) for pair in self.pairs]
        missing = torch.stack([self.missing(gather(logits, pair)) for pair in pairs])
        counts = missing.new_tensor([len(pixels[0]) for _, _, pixels in pairs])
        totals = sum_over_ranks(torch.stack([missing, counts]))
        met = (totals[1] > self.least_pixels).nonzero().flatten().tolist()
        if not met:
            return missing.new_zeros(()), []
        weights = [rank_count() / (len(met) * float(totals[1, place])) for place in met]
        value = (totals[0, met] / totals[1, met]).mean()
        return value, [(pairs[place], w) for place, w in zip(met, weights, strict=True)]

    def add_gradient(
        self,
        gradient: torch.Tensor,
        logits: torch.Tensor,
        labels: torch.Tensor,
        state: list[Met],
        scale: torch.Tensor,
    ) -> None:
        """By autograd on the pixels of each pair alone."""
        for pair, weight in state:
            with torch.enable_grad():
                leaf = gather(logits, pair).requires_grad_()
                cost = self.missing(leaf) * (scale * weight)
            (slopes,) = torch.autograd.grad(cost, leaf)
            for index, slope in zip(pair[:2], slopes.to(gradient.dtype), strict=True):
                images, rows, columns = pair[2]
                gradient[images, index, rows, columns] += slope

    def missing(self, logits: torch.Tensor) -> torch.Tensor:
        """(2, K) logits of both bones at K pixels -> the sum of what is missing."""
        return (self.confidence - logits.sigmoid().amin(0)).relu().sum()


def shared_pixels(labels: torch.Tensor, one: int, other: int) -> Pixels:
    """Image, row and column of the pixels of (N, h, w, P) packed labels that two classes share."""
    first, second = (unpack_part(labels, slice(c, c + 1), torch.bool) for c in (one, other))
    return (first & second)[:, 0].nonzero(as_tuple=True)


def gather(logits: torch.Tensor, pair: Pair) -> torch.Tensor:
    """The logits of a pair at its pixels, (2, K), in the type that they are computed in."""
    one, other, (images, rows, columns) = pair
    return torch.stack([widen(logits[images, c, rows, columns]) for c in (one, other)]).detach()


def build(options: OverlapOptions, context: LossContext) -> OverlapLoss:
    """The penalty for the named pairs, or for those that overlap in the data.

    Raises:
        HandboneError: an unknown name, or no pair that overlaps by that much.
    """
    pairs = [(_index(a, context), _index(b, context)) for a, b in options.pairs]
    return OverlapLoss(
        pairs or pairs_of_data(context, options.least_area),
        confidence=options.confidence,
        least_pixels=options.least_pixels,
    )


def pairs_of_data(context: LossContext, least_area: float) -> list[tuple[int, int]]:
    """Pairs of indices a < b that overlap by the least area or more on the data's average."""
    way_out = "name pairs, such as pairs = [['Triquetrum', 'Pisiform']]"
    if context.overlaps is None:
        raise HandboneError(f"loss 'overlap': there are no labels to find pairs in; {way_out}.")
    areas = np.triu(context.overlaps() * REFERENCE, 1)
    found = np.argwhere((areas >= least_area) & (areas > 0))
    if not len(found):
        raise HandboneError(
            f"loss 'overlap', option 'least_area': no two bones of this data overlap by "
            f"{least_area:g} px at 2048 px on average, {areas.max():.0f} at most; lower it, "
            f"{way_out}, or leave the loss out."
        )
    return [(int(a), int(b)) for a, b in found]


def _index(name: str, context: LossContext) -> int:
    if name not in context.class_names:
        near = get_close_matches(name, context.class_names, 1)
        hint = f"Did you mean '{near[0]}'? " if near else ""
        raise HandboneError(
            f"loss 'overlap', option 'pairs': no class is named '{name}'. {hint}"
            f"Known: {', '.join(context.class_names)}."
        )
    return context.class_names.index(name)
