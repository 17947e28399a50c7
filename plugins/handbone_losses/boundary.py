"""Boundary loss."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from handbone_losses.chunks import ClassLoss
from handbone_losses.distances import NearBorder, near_borders

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli import LossContext
    from handbone_losses.options import BoundaryOptions


class BoundaryLoss(ClassLoss):
    """The mean of p times the signed distance to the true border, in float32.

    Kervadec et al. 2019, arXiv:1812.07032: a probability costs in proportion to how far outside the
    bone it is, and is rewarded inside, so that the value of the right answer is negative. Distances
    are cut at `reach` px and divided by it, from -1 to 1: farther pixels cost 1, and so do those of
    a bone that is absent. Add it to a loss of regions: alone it hardly moves at first.

    Args:
        reach: px beyond which all distances are alike.
    """

    def __init__(self, *, reach: int = 32) -> None:
        super().__init__()
        self.reach = reach

    def prepare(self, labels: torch.Tensor, classes: int) -> list[list[NearBorder]]:
        """The distances in the boxes of each class."""
        return near_borders(labels, classes, self.reach)

    def measure(
        self,
        logits: torch.Tensor,
        targets: torch.Tensor,
        known: Sequence[Sequence[NearBorder]],
    ) -> torch.Tensor:
        """The mean of each class: (k,)."""
        levels = torch.ones_like(logits)
        for index, bones in enumerate(known):
            for bone in bones:
                y0, y1, x0, x1 = bone.box
                # The outermost pixels of a bone are on its border: 0, not 1 px deep.
                depth = bone.distance + (bone.distance < 0)
                levels[bone.image, index, y0:y1, x0:x1] = (depth / self.reach).clamp(-1, 1)
        return (logits.sigmoid() * levels).mean((0, 2, 3))


def build(options: BoundaryOptions, context: LossContext) -> BoundaryLoss:
    """Boundary loss with the options of a recipe."""
    return BoundaryLoss(reach=options.reach)
