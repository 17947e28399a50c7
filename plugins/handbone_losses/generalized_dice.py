"""Generalized Dice: one ratio of all classes together, small ones weighing more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from handbone_losses.regions import RegionLoss

if TYPE_CHECKING:
    from handbone_cli import LossContext
    from handbone_losses.options import GeneralizedDiceOptions

EXPONENTS = {"square": 2, "simple": 1, "uniform": 0}


class GeneralizedDiceLoss(RegionLoss):
    """1 - 2 sum(w I) / sum(w (P + T)) over all classes, in float32.

    Sudre et al. 2017, arXiv:1707.03237; w is 1 / T^2 of a class (`square`), 1 / T (`simple`) or 1
    (`uniform`), over the largest of them, so that `smooth` is in pixels of the smallest class. A
    class that is absent weighs as much as the smallest that is there.

    Args:
        batch: one ratio for the batch; otherwise the mean of the images' own.
        smooth: pixels added to both sides of the ratio, over 0.
        class_weight: square, simple or uniform.
    """

    def __init__(
        self, *, batch: bool = True, smooth: float = 1.0, class_weight: str = "square"
    ) -> None:
        super().__init__(batch=batch, smooth=smooth)
        self.exponent = EXPONENTS[class_weight]

    def cost(self, both: torch.Tensor, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Sums of p t, p and t, each (C,) or (C, N) -> a scalar."""
        areas = torch.where(true > 0, true, torch.inf)
        least = areas.amin(0)  # infinite where nothing is there
        weights = torch.where(true > 0, least / areas, 1.0).nan_to_num(1.0) ** self.exponent
        shared = 2 * (weights * both).sum(0) + self.smooth
        return 1 - (shared / ((weights * (predicted + true)).sum(0) + self.smooth)).mean()


def build(options: GeneralizedDiceOptions, context: LossContext) -> GeneralizedDiceLoss:
    """Generalized Dice with the options of a recipe."""
    return GeneralizedDiceLoss(
        batch=options.batch, smooth=options.smooth, class_weight=options.class_weight
    )
