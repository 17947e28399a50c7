"""Focal loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from handbone_cli import unpack_labels

if TYPE_CHECKING:
    from handbone_cli import LossContext
    from handbone_losses.options import FocalOptions


class FocalLoss(nn.Module):
    """The mean of -alpha_t (1 - p_t)^gamma log p_t over all pixels and classes, in float32.

    Lin et al. 2017, arXiv:1708.02002. With m the logit signed so that it is positive where right,
    log p_t is logsigmoid(m) and 1 - p_t is sigmoid(-m): no difference of near-equal numbers, so
    values and gradients stay finite at any logit and for gamma < 1.

    Args:
        alpha: weight of bone pixels; the others weigh 1 - alpha.
        gamma: exponent, 0 or more; 0 is weighted cross-entropy.
    """

    def __init__(self, *, alpha: float = 0.5, gamma: float = 2.0) -> None:
        super().__init__()
        self.alpha = alpha
        self.gamma = gamma

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) logits and (N, h, w, ceil(C/8)) uint8 packed labels -> a scalar."""
        targets = unpack_labels(labels, logits.shape[1])
        margins = logits.float() * (2 * targets - 1)
        alphas = 1 - self.alpha + (2 * self.alpha - 1) * targets
        modulation = (self.gamma * functional.logsigmoid(-margins)).exp()
        return -(alphas * modulation * functional.logsigmoid(margins)).mean()


def build(options: FocalOptions, context: LossContext) -> FocalLoss:
    """Focal loss with the options of a recipe."""
    return FocalLoss(alpha=options.alpha, gamma=options.gamma)
