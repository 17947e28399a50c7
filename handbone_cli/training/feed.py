"""The batches of each optimizer step, in smaller portions once the device has run out of memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError
from handbone_cli.ranks import rank_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import torch

    from handbone_cli.host.interfaces import Loader
    from handbone_cli.training.checkpoint import Position

    Batch = tuple[torch.Tensor, torch.Tensor]


@dataclass
class Feed:
    """Lists of batches, one list a step.

    Attributes:
        load: batch size -> loader over the same patches in the same order.
        loader: the one in use.
        batch_size: its patches in a batch, in all processes together.
        accumulate: batches to a step.
    """

    load: Callable[[int], Loader]
    loader: Loader
    batch_size: int
    accumulate: int

    @classmethod
    def of(
        cls, load: Callable[[int], Loader], at: Position, batch_size: int, accumulate: int
    ) -> Feed:
        """As the recipe says, or as a run that was out of memory went on."""
        size, batches = at.batch_size or batch_size, at.accumulate or accumulate
        return cls(load, load(size), size, batches)

    @property
    def group(self) -> int:
        """Batches to a step; an epoch of fewer is one step."""
        return min(self.accumulate, len(self.loader))

    def __len__(self) -> int:
        """Steps in an epoch; a last incomplete one is dropped."""
        return len(self.loader) // self.group

    def epoch(self, number: int, start: int) -> Iterator[list[Batch]]:
        """The batches of steps `start` to the end of an epoch.

        Raises:
            HandboneError: of several processes each would get whole batches.
        """
        for group in grouped(self.loader.epoch(number, start * self.group), self.group):
            most = self.batch_size // rank_count()
            if rank_count() > 1 and any(len(images) > most for images, _ in group):
                raise HandboneError(
                    f"data.loader: {type(self.loader).__name__} gives each of {rank_count()} "
                    "devices all patches of a batch, not its share; choose loader = 'torch', or "
                    "train on one device."
                )
            yield group

    def shrink(self, at: Position, minimum: int) -> str:
        """Go on with half of each batch and twice as many to a step; says so in a line.

        A batch that two does not divide goes by its smallest divisor, so that a step stays what it
        was: the mean over the same patches. Of several processes each has its share of a batch.

        Args:
            at: remembers it.
            minimum: the fewest patches at a time that the model can be trained on.

        Raises:
            HandboneError: the batch cannot be divided further.
        """
        before, own = self.batch_size, self.batch_size // rank_count()
        parts = next((n for n in range(2, own + 1) if own % n == 0), 0)
        if parts == 0 or own // parts < minimum:
            raise HandboneError(
                f"out of memory with a batch of {before}; lower data.patch, set train.recompute = "
                "true, train.precision = 'bf16', or choose a smaller model."
            )
        self.batch_size, self.accumulate = before // parts, self.accumulate * parts
        self.loader = self.load(self.batch_size)
        at.batch_size, at.accumulate = self.batch_size, self.accumulate
        return (
            f"out of memory with a batch of {before}: going on with {self.batch_size}, "
            f"{self.accumulate} batches to a step (from here on not bit for bit what more memory "
            "would have given)"
        )


def grouped(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    """Lists of `size` batches; a last incomplete list is dropped."""
    group: list[Batch] = []
    for batch in batches:
        group.append(batch)
        if len(group) == size:
            yield group
            group = []
