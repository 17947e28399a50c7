"""The loader `torch`: a DataLoader over patches, whose order is a function of seed and epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from handbone_cli import HandboneError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handbone_cli import LoaderContext, Options

STREAM = 0x10AD


class _EpochPatches(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The patches of one epoch in their shuffled order."""

    def __init__(self, source: Any, epoch: int, order: list[int]) -> None:
        self._source, self._epoch, self._order = source, epoch, order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, torch.Tensor]:
        patch = self._source.patch(self._epoch, self._order[place])
        return torch.from_numpy(patch.image), torch.from_numpy(patch.labels)


class TorchLoader:
    """Batches of an epoch; the last incomplete batch is dropped, a single short one is kept."""

    def __init__(self, context: LoaderContext) -> None:
        self._context = context
        self._size = min(context.batch_size, len(context.source))

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._context.source) // self._size

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches `start` to the end: (N, 1, h, w) float32 and (N, h, w, P) uint8."""
        rng = np.random.default_rng((STREAM, self._context.seed, number))
        order = rng.permutation(len(self._context.source)).tolist()
        wanted = order[start * self._size : len(self) * self._size]
        if not wanted:
            return
        patches = _EpochPatches(self._context.source, number, wanted)
        loader = DataLoader(
            patches,
            batch_size=self._size,
            num_workers=self._context.workers,
            pin_memory=torch.cuda.is_available(),
        )
        try:
            yield from (tuple(batch) for batch in loader)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise HandboneError(
                "a loader's worker process died, most often for want of memory; "
                "continue with --resume after lowering data.workers in a new run (0: none)."
            ) from error


def build(_options: Options, context: LoaderContext) -> TorchLoader:
    """Build the loader."""
    return TorchLoader(context)
