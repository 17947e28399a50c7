"""A weighted sum of other losses, first-party or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from handbone_losses.chunks import LeanLoss, weighted_sum

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from handbone_cli import LossContext
    from handbone_losses.options import CombinedOptions

    LossFunction = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class CombinedLoss(nn.Module):
    """The sum of weight times loss.

    First-party losses share one gradient; of others each makes its own, as autograd does.

    Args:
        terms: weights and losses; those that are modules move and train with this one.
    """

    def __init__(self, terms: Sequence[tuple[float, LossFunction]]) -> None:
        super().__init__()
        self.lean = [(weight, loss) for weight, loss in terms if isinstance(loss, LeanLoss)]
        self.others = [(weight, loss) for weight, loss in terms if not isinstance(loss, LeanLoss)]
        self.modules_of_terms = nn.ModuleList(
            loss for _, loss in terms if isinstance(loss, nn.Module)
        )

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) logits and (N, h, w, ceil(C/8)) uint8 packed labels -> a scalar."""
        values = [weight * loss(logits, labels) for weight, loss in self.others]
        if self.lean:
            values.append(weighted_sum(self.lean, logits, labels))
        return torch.stack(values).sum()


def build(options: CombinedOptions, context: LossContext) -> CombinedLoss:
    """Build each named loss with its own options.

    Raises:
        HandboneError: an unknown loss, or options that it does not have.
    """
    return CombinedLoss(
        [(term.weight, context.build_loss(term.name, term.options())) for term in options.terms]
    )
