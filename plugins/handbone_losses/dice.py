"""Soft Dice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_losses.regions import RegionLoss

if TYPE_CHECKING:
    import torch

    from handbone_cli import LossContext
    from handbone_losses.options import DiceOptions


class DiceLoss(RegionLoss):
    """1 - soft Dice, the mean of all classes, in float32.

    Milletari et al. 2016, arXiv:1606.04797, with plain sums in the denominator. A class that is
    absent costs P / (P + smooth), P the sum of its probabilities: it is only ever pulled down, and
    costs nothing once it is predicted absent.
    """

    def cost(self, both: torch.Tensor, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Sums of p t, p and t, each (C,) or (C, N) -> a scalar."""
        return 1 - ((2 * both + self.smooth) / (predicted + true + self.smooth)).mean()


def build(options: DiceOptions, context: LossContext) -> DiceLoss:
    """Soft Dice with the options of a recipe."""
    return DiceLoss(batch=options.batch, smooth=options.smooth)
