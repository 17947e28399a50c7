"""What losses of regions are made of: how much is true, predicted, and both, of each class."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch

from handbone_losses.chunks import ClassLoss

if TYPE_CHECKING:
    from collections.abc import Sequence


class RegionLoss(ClassLoss):
    """A loss of sums over pixels alone, in float32.

    Args:
        batch: sums over the batch, as nnU-Net's batch Dice (Isensee et al. 2021,
            doi:10.1038/s41592-020-01008-z); otherwise over each image.
        smooth: pixels added to both sides of the ratio, over 0.
    """

    def __init__(self, *, batch: bool = True, smooth: float = 1.0) -> None:
        super().__init__()
        self.axes = (0, 2, 3) if batch else (2, 3)
        self.smooth = smooth

    @property
    def over_batch(self) -> bool:
        """Sums over the batch are of all processes' parts of it."""
        return len(self.axes) == 3

    def measure(
        self, logits: torch.Tensor, targets: torch.Tensor, known: Sequence[Any]
    ) -> torch.Tensor:
        """Sums of p t, p and t of each class: (k, 3) over the batch, (k, 3, N) image by image."""
        probabilities = logits.sigmoid()
        sums = [each.sum(self.axes) for each in (probabilities * targets, probabilities, targets)]
        return torch.stack(sums).movedim(-1, 0)

    def value(self, figures: torch.Tensor) -> torch.Tensor:
        """(C, 3) or (C, 3, N) sums -> a scalar."""
        return self.cost(*figures.unbind(1))

    @abstractmethod
    def cost(self, both: torch.Tensor, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Sums of p t, p and t, each (C,) or (C, N) -> a scalar."""
