"""Binary cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from handbone_cli import unpack_labels

if TYPE_CHECKING:
    from handbone_cli import LossContext, Options


class BCELoss(nn.Module):
    """The mean binary cross-entropy of all pixels and classes, in float32."""

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) logits and (N, h, w, ceil(C/8)) uint8 packed labels -> a scalar."""
        targets = unpack_labels(labels, logits.shape[1])
        return functional.binary_cross_entropy_with_logits(logits.float(), targets)


def build(options: Options, context: LossContext) -> BCELoss:
    """Binary cross-entropy; it has no options."""
    return BCELoss()
