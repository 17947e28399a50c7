"""Binary cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.nn import functional

from handbone_losses.chunks import ClassLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from handbone_cli import LossContext, Options


class BCELoss(ClassLoss):
    """The mean binary cross-entropy of all pixels and classes, in float32."""

    def measure(
        self, logits: torch.Tensor, targets: torch.Tensor, known: Sequence[Any]
    ) -> torch.Tensor:
        """The mean of each class: (k,)."""
        each = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return each.mean((0, 2, 3))


def build(options: Options, context: LossContext) -> BCELoss:
    """Binary cross-entropy; it has no options."""
    return BCELoss()
