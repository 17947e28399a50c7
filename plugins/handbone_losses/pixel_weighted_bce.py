"""Cross-entropy that weighs pixels by class balance and by how near a border they are."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from handbone_cli import rank_count, sum_over_ranks
from handbone_losses.chunks import ClassLoss, unpack_part
from handbone_losses.distances import NearBorder, near_borders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli import LossContext
    from handbone_losses.options import PixelWeightedBCEOptions

    Known = tuple[torch.Tensor, list[NearBorder]]

REACH = 4  # SDs: beyond, the border's weight is under a thousandth and taken as 0


class PixelWeightedBCELoss(ClassLoss):
    """The weighted mean of binary cross-entropy, each class by itself, in float32.

    Ronneberger et al. 2015, arXiv:1505.04597: a pixel weighs w_c + w_0 exp(-d^2 / (2 sigma^2)).
    They want to part cells that touch, and d is the way to the two nearest; bones overlap, so that
    here d is the distance to the border of the class at hand. w_c makes bone and background even:
    of a class with the share f in the batch, bone weighs `most` or 1 / (2 f), whichever is less,
    and the rest 1 / (2 (1 - f)). The mean is over the weights' sum: every class counts alike.

    Args:
        border: w_0, the weight added at the border.
        sigma: px over which it falls.
        most: what a pixel of bone weighs at most for balance; 1 for no balance of small bones.
    """

    def __init__(self, *, border: float = 10.0, sigma: float = 5.0, most: float = 10.0) -> None:
        super().__init__()
        self.border, self.sigma, self.most = border, sigma, most

    @property
    def over_batch(self) -> bool:
        """Shares and means are of all processes' parts of the batch."""
        return True

    def prepare(self, labels: torch.Tensor, classes: int) -> list[Known]:
        """The share of each class in the batch, and the distances in its boxes."""
        near = near_borders(labels, classes, ceil(REACH * self.sigma))
        shares = torch.stack(
            [unpack_part(labels, slice(c, c + 1), torch.float32).mean() for c in range(classes)]
        )
        shares = sum_over_ranks(shares) / rank_count()
        return list(zip(shares, near, strict=True))

    def measure(
        self,
        logits: torch.Tensor,
        targets: torch.Tensor,
        known: Sequence[Known],
    ) -> torch.Tensor:
        """Cross-entropy times weight, and the weights, each summed: (k, 2)."""
        weights = self.weights(targets, known)
        each = functional.binary_cross_entropy_with_logits(
            logits, targets, weights, reduction="none"
        )
        return torch.stack([each.sum((0, 2, 3)), weights.sum((0, 2, 3))], dim=1)

    def value(self, figures: torch.Tensor) -> torch.Tensor:
        """(C, 2) sums -> the mean over classes of the weighted means."""
        return (figures[:, 0] / figures[:, 1]).mean()

    def weights(self, targets: torch.Tensor, known: Sequence[Known]) -> torch.Tensor:
        """(N, k, h, w) 0 or 1 and what is known of the classes -> what each pixel weighs."""
        share = torch.stack([share for share, _ in known])[None, :, None, None].to(targets)
        bone = (0.5 / share).clamp(max=self.most)  # infinite for an absent one, which has no pixel
        weights = torch.where(targets > 0, bone, 0.5 / (1 - share))
        for index, (_, bones) in enumerate(known):
            for near in bones:
                y0, y1, x0, x1 = near.box
                # Border pixels of both sides are half a pixel from the border between them.
                away = (near.distance.abs() - 0.5) / self.sigma
                bump = torch.where(away <= REACH, torch.exp(-(away**2) / 2), 0.0)
                weights[near.image, index, y0:y1, x0:x1] += self.border * bump
        return weights


def build(options: PixelWeightedBCEOptions, context: LossContext) -> PixelWeightedBCELoss:
    """Pixel-weighted cross-entropy with the options of a recipe."""
    return PixelWeightedBCELoss(border=options.border, sigma=options.sigma, most=options.most)
