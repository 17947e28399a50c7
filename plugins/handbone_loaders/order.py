"""The order of an epoch: a shuffle that is a function of seed and epoch, for all loaders alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from handbone_cli import LoaderContext

STREAM = 0x10AD


class EpochOrder:
    """Which patches make up which batch; a last incomplete batch is dropped, a single one kept."""

    def __init__(self, context: LoaderContext) -> None:
        self._seed, self._count = context.seed, len(context.source)
        self.batch_size = min(context.batch_size, self._count)

    def __len__(self) -> int:
        """Batches in an epoch."""
        return self._count // self.batch_size

    def batches(self, epoch: int, start: int = 0) -> list[list[int]]:
        """The indices of the patches of batches `start` to the end."""
        rng = np.random.default_rng((STREAM, self._seed, epoch))
        order = rng.permutation(self._count)[: len(self) * self.batch_size]
        return [batch.tolist() for batch in order.reshape(len(self), -1)[start:]]
