"""Soft Jaccard."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_losses.regions import RegionLoss

if TYPE_CHECKING:
    import torch

    from handbone_cli import LossContext
    from handbone_losses.options import JaccardOptions


class JaccardLoss(RegionLoss):
    """1 - soft Jaccard (intersection over union), the mean of all classes, in float32.

    Rahman and Wang 2016, doi:10.1007/978-3-319-50835-1_22. Unlike segmentation_models_pytorch's, a
    class that is absent counts: a window of a hand lacks most bones, and must be told so.
    """

    def cost(self, both: torch.Tensor, predicted: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
        """Sums of p t, p and t, each (C,) or (C, N) -> a scalar."""
        return 1 - ((both + self.smooth) / (predicted + true - both + self.smooth)).mean()


def build(options: JaccardOptions, context: LossContext) -> JaccardLoss:
    """Soft Jaccard with the options of a recipe."""
    return JaccardLoss(batch=options.batch, smooth=options.smooth)
