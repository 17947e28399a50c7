"""Tversky and focal Tversky: Dice with prices of its own for too much and too little."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_losses.regions import RegionLoss

if TYPE_CHECKING:
    import torch

    from handbone_cli import LossContext
    from handbone_losses.options import FocalTverskyOptions, TverskyOptions

LEAST_COST = 1e-6  # a root's slope is infinite at 0


class TverskyLoss(RegionLoss):
    """1 - TP / (TP + alpha FP + beta FN), the mean of all classes, in float32.

    Salehi et al. 2017, arXiv:1706.05721; alpha = beta = 0.5 is Dice. TP, FP and FN are soft counts
    with `smooth` added to TP. With `gamma`, the mean of the 1/gamma-th powers: focal Tversky,
    Abraham and Khan 2019, arXiv:1810.07842, which for gamma > 1 looks at the classes that are not
    yet right.

    Args:
        alpha: price of a pixel too many.
        beta: price of a pixel missing.
        gamma: 1 for Tversky.
        batch: counts over the batch; otherwise over each image.
        smooth: pixels added to TP, over 0.
    """

    def __init__(
        self,
        *,
        alpha: float = 0.3,
        beta: float = 0.7,
        gamma: float = 1.0,
        batch: bool = True,
        smooth: float = 1.0,
    ) -> None:
        super().__init__(batch=batch, smooth=smooth)
        self.alpha, self.beta, self.gamma = alpha, beta, gamma

    def cost(self, both: torch.Tensor, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Sums of p t, p and t, each (C,) or (C, N) -> a scalar."""
        wrong = self.alpha * (predicted - both) + self.beta * (true - both)
        costs = wrong / (both + wrong + self.smooth)
        if self.gamma != 1:
            costs = costs.clamp(min=LEAST_COST) ** (1 / self.gamma)
        return costs.mean()


def build(options: TverskyOptions, context: LossContext) -> TverskyLoss:
    """Tversky with the options of a recipe."""
    return TverskyLoss(
        alpha=options.alpha, beta=options.beta, batch=options.batch, smooth=options.smooth
    )


def build_focal(options: FocalTverskyOptions, context: LossContext) -> TverskyLoss:
    """Focal Tversky with the options of a recipe."""
    return TverskyLoss(
        alpha=options.alpha,
        beta=options.beta,
        gamma=options.gamma,
        batch=options.batch,
        smooth=options.smooth,
    )
