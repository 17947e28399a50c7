"""The order of an epoch: a shuffle that is a function of seed and epoch, for all loaders alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from handbone_cli import LoaderContext

STREAM = 0x10AD


class EpochOrder:
    """Which patches make up which batch; a last incomplete batch is dropped, a single one kept.

    Attributes:
        batch_size: patches of a batch that this process draws; every other one draws as many.
    """

    def __init__(self, context: LoaderContext) -> None:
        self._context, self._count = context, len(context.source)
        self.batch_size = min(context.batch_size, self._count) // context.ranks
        self._whole = self.batch_size * context.ranks

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._count // self._whole

    def batches(self, epoch: int, start: int = 0) -> list[list[int]]:
        """The indices of this process's patches of batches `start` to the end."""
        rng = np.random.default_rng((STREAM, self._context.seed, epoch))
        order = rng.permutation(self._count)[: len(self) * self._whole]
        whole = order.reshape(len(self), self._whole)[start:].tolist()
        return [list(self._context.share(batch)) for batch in whole]
