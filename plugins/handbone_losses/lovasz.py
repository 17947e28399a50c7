"""The Lovasz hinge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from segmentation_models_pytorch import losses

from handbone_cli import HandboneError, rank_count
from handbone_losses.chunks import ClassLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli import LossContext
    from handbone_losses.options import LovaszOptions


class LovaszLoss(ClassLoss):
    """The Lovasz hinge of each class, their mean, in float32: a convex surrogate of Jaccard.

    Berman et al. 2018, arXiv:1705.08790, by segmentation_models_pytorch, which for `multilabel`
    sorts all classes in one list, as if a hand were one bone; here each is sorted by itself.

    Args:
        batch: a class's pixels of the whole batch together; otherwise image by image.
    """

    def __init__(self, *, batch: bool = True) -> None:
        super().__init__()
        self.hinge = losses.LovaszLoss("binary", per_image=not batch)

    def measure(
        self, logits: torch.Tensor, targets: torch.Tensor, known: Sequence[Any]
    ) -> torch.Tensor:
        """The hinge of each class: (k,)."""
        pairs = zip(logits.float().unbind(1), targets.float().unbind(1), strict=True)
        return torch.stack([self.hinge(each, truth) for each, truth in pairs]).to(logits.dtype)


def build(options: LovaszOptions, context: LossContext) -> LovaszLoss:
    """The Lovasz hinge with the options of a recipe.

    Raises:
        HandboneError: a batch is shared by several processes and is to be sorted as a whole.
    """
    if options.batch and rank_count() > 1:
        raise HandboneError(
            "loss 'lovasz', option 'batch': sorts the pixels of a whole batch, which several "
            "devices share; set it to false, or train on one device."
        )
    return LovaszLoss(batch=options.batch)
