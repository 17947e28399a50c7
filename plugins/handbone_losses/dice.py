"""Soft Dice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from handbone_cli import unpack_labels

if TYPE_CHECKING:
    from handbone_cli import LossContext
    from handbone_losses.options import DiceOptions


class DiceLoss(nn.Module):
    """1 - soft Dice, the mean of all classes, in float32.

    Milletari et al. 2016, arXiv:1606.04797, with plain sums in the denominator; counted over the
    batch as in nnU-Net, Isensee et al. 2021, doi:10.1038/s41592-020-01008-z. A class that is absent
    costs P / (P + smooth), P the sum of its probabilities: it is only ever pulled down, and costs
    nothing once it is predicted absent.

    Args:
        batch: one ratio for each class; otherwise one for each class and image.
        smooth: pixels added to numerator and denominator, over 0.
    """

    def __init__(self, *, batch: bool = True, smooth: float = 1.0) -> None:
        super().__init__()
        self.axes = (0, 2, 3) if batch else (2, 3)
        self.smooth = smooth

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) logits and (N, h, w, ceil(C/8)) uint8 packed labels -> a scalar."""
        targets = unpack_labels(labels, logits.shape[1])
        probabilities = logits.float().sigmoid()
        intersection = (probabilities * targets).sum(self.axes)
        total = probabilities.sum(self.axes) + targets.sum(self.axes)
        return 1 - ((2 * intersection + self.smooth) / (total + self.smooth)).mean()


def build(options: DiceOptions, context: LossContext) -> DiceLoss:
    """Soft Dice with the options of a recipe."""
    return DiceLoss(batch=options.batch, smooth=options.smooth)
