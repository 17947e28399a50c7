"""One optimizer step: some batches forward and backward, then the weights move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from handbone_cli.errors import HandboneError
from handbone_cli.networks.build import autocast
from handbone_cli.networks.collectives import (
    OutOfMemoryElsewhereError,
    average_gradients,
    mean_over_ranks,
    tell_out_of_memory,
)
from handbone_cli.networks.labels import labels_at
from handbone_cli.ranks import rank
from handbone_cli.training.optimizer import set_rate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from timm.utils import ModelEmaV3

    from handbone_cli.host.interfaces import Loss
    from handbone_cli.networks.wrapper import Segmenter

    Batch = tuple[torch.Tensor, torch.Tensor]


class OutOfMemoryError(Exception):
    """The device had no room for a batch; weights and optimizer are as before the step."""


@dataclass(frozen=True)
class Stepper:
    """What a step needs that stays the same in a run.

    Attributes:
        model: in its wrapper, on `device`.
        forward: the model, or what torch.compile made of it.
        loss: logits and packed labels to a scalar.
        optimizer: of the model's parameters.
        scaler: of fp16 gradients; disabled otherwise.
        ema: the weights' moving average, or None.
        device: where the model is.
        precision: of the forward pass.
        clip_norm: largest gradient norm; 0 for no clipping.
        channels_last: the images' memory format.
        tied: processes meet within a forward pass, so that one cannot break off alone.
    """

    model: Segmenter
    forward: Callable[[torch.Tensor], Any]
    loss: Loss
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    ema: ModelEmaV3 | None
    device: torch.device
    precision: torch.dtype
    clip_norm: float = 0.0
    channels_last: bool = False
    tied: bool = False

    def step(
        self, batches: Sequence[Batch], rate: float, stream: tuple[int, int, int], number: int
    ) -> float:
        """Move the weights by the mean gradient of some batches; gives their mean loss.

        With several processes, of the parts of these batches that all have together.

        Args:
            batches: (N, in_channels, h, w) images and (N, h, w, P) packed labels, of one size.
            rate: the learning rate.
            stream: (seed, epoch, step): dropout draws from a stream of its own for it.
            number: of the step in the run, from 1; the moving average forgets its start by it.

        Raises:
            HandboneError: the loss is no number.
            OutOfMemoryError: forward or backward found no room, here or in another process.
            LostRankError: another process is gone; weights and optimizer are as before the step.
        """
        # Each process drops other units: its patches are others.
        torch.manual_seed(hash((*stream, rank()) if rank() else stream) & 0x7FFFFFFF)
        set_rate(self.optimizer, rate)
        if self.device.type != "cpu":
            self.optimizer.zero_grad(set_to_none=True)  # room for the activations
        try:
            value = sum(
                self._accumulate(batch, 1 / len(batches), is_first=place == 0)
                for place, batch in enumerate(batches)
            )
            value = mean_over_ranks(value)
        except torch.OutOfMemoryError as error:
            self.optimizer.zero_grad(set_to_none=True)
            if self.tied:
                raise HandboneError(
                    "out of memory, and with train.shard or train.sync_batchnorm the devices "
                    "cannot go on with smaller batches by themselves; lower train.batch_size and "
                    "raise train.accumulate."
                ) from error
            tell_out_of_memory()
            raise OutOfMemoryError from error
        except OutOfMemoryElsewhereError as error:
            self.optimizer.zero_grad(set_to_none=True)
            raise OutOfMemoryError from error
        if not np.isfinite(value):
            raise HandboneError(
                f"the loss is {value} in epoch {stream[1] + 1}, step {stream[2] + 1}; lower "
                "optimizer.lr, set train.clip_norm, or train.precision = 'fp32'."
            )
        average_gradients(self.model.parameters())
        if self.clip_norm > 0:
            self.scaler.unscale_(self.optimizer)
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema is not None:
            self.ema.update(self.model, step=number)
        return value

    def _accumulate(self, batch: Batch, share: float, *, is_first: bool) -> float:
        images, labels = (part.to(self.device, non_blocking=True) for part in batch)
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with autocast(self.device, self.precision):
            logits = self.forward(images)
        loss = supervise(self.loss, logits, labels, self.model.output_weights) * share
        if is_first and self.device.type == "cpu":
            # Earlier, the system would take their memory back and give it out page by page: 8 %.
            self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())


def supervise(
    loss: Loss,
    logits: torch.Tensor | list[torch.Tensor],
    labels: torch.Tensor,
    output_weights: Sequence[float] | None = None,
) -> torch.Tensor:
    """The loss of the main output, or the weighted mean with auxiliary ones, each at its own size.

    The weights are 1, 1/2, 1/4 ... unless the model says others (Segmenter.output_weights).
    """
    if isinstance(logits, torch.Tensor):
        return loss(logits, labels)
    weights = output_weights or [0.5**depth for depth in range(len(logits))]
    parts = [
        w * loss(each, labels_at(labels, (int(each.shape[-2]), int(each.shape[-1]))))
        for w, each in zip(weights, logits, strict=True)
    ]
    return torch.stack(parts).sum() / sum(weights)
