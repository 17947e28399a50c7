"""Focal loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn import functional

from handbone_losses.chunks import ClassLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from handbone_cli import LossContext
    from handbone_losses.options import FocalOptions


class FocalLoss(ClassLoss):
    """The mean of -alpha_t (1 - p_t)^gamma log p_t over all pixels and classes, in float32.

    Lin et al. 2017, arXiv:1708.02002. With m the logit signed so that it is positive where right,
    log p_t is logsigmoid(m) and log(1 - p_t) is logsigmoid(m) - m: no probability is rounded to 0
    or 1, so values and gradients stay finite at any logit and for gamma < 1.

    Args:
        alpha: weight of bone pixels; the others weigh 1 - alpha.
        gamma: exponent, 0 or more; 0 is weighted cross-entropy.
    """

    def __init__(self, *, alpha: float = 0.5, gamma: float = 2.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma

    def measure(
        self, logits: torch.Tensor, targets: torch.Tensor, known: Sequence[Any]
    ) -> torch.Tensor:
        """The mean of each class: (k,)."""
        margins = logits * (2 * targets - 1)
        right = functional.logsigmoid(margins)
        modulation = (self.gamma * (right - margins)).exp()
        alphas = 1 - self.alpha + (2 * self.alpha - 1) * targets
        return -(alphas * modulation * right).mean((0, 2, 3))


def build(options: FocalOptions, context: LossContext) -> FocalLoss:
    """Focal loss with the options of a recipe."""
    return FocalLoss(alpha=options.alpha, gamma=options.gamma)
