"""Losses evaluated a few classes at a time: logits, one gradient, and a chunk beside them.

Plain autograd keeps what every operation needs for its backward, four to ten copies of the logits,
122 MB each for an image of 29 classes and 1024 px. Here a forward keeps figures alone; the backward
goes through the classes once more and writes into the one gradient that all terms share
(recomputation as in Chen et al. 2016, arXiv:1604.06174).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.autograd.function import once_differentiable

from handbone_cli import rank_count, sum_over_ranks

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHUNK = 2**19
"""Pixels of all classes of a chunk together, at least one class: 2 MB of float32."""


class LeanLoss(nn.Module):
    """A loss that can be evaluated without autograd and adds to a gradient that others share."""

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) logits and (N, h, w, ceil(C/8)) uint8 packed labels -> a scalar."""
        return weighted_sum([(1.0, self)], logits, labels)

    @abstractmethod
    def evaluate(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """The value, float32 or wider, and what `add_gradient` needs to know of it."""

    @abstractmethod
    def add_gradient(
        self,
        gradient: torch.Tensor,
        logits: torch.Tensor,
        labels: torch.Tensor,
        state: Any,
        scale: torch.Tensor,
    ) -> None:
        """Add `scale` times the gradient at the logits to `gradient`, of their shape and type."""


class ClassLoss(LeanLoss):
    """A loss of figures that are measured on each class by itself.

    Attributes:
        chunk: pixels of a chunk of classes; the value does not depend on it.
    """

    chunk: int = CHUNK

    def prepare(self, labels: torch.Tensor, classes: int) -> Sequence[Any]:
        """What `measure` is to know of each of C classes beside its targets; once a batch."""
        return [None] * classes

    @property
    def over_batch(self) -> bool:
        """Whether figures are sums over the batch, so that those of other processes count too."""
        return False

    @abstractmethod
    def measure(
        self, logits: torch.Tensor, targets: torch.Tensor, known: Sequence[Any]
    ) -> torch.Tensor:
        """(N, k, h, w) logits and 0 or 1 of some classes, float32 -> their figures (k, ...)."""

    def value(self, figures: torch.Tensor) -> torch.Tensor:
        """Figures of all classes (C, ...) -> a scalar; their mean."""
        return figures.mean()

    def evaluate(self, logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Any]:
        """The value of figures measured chunk by chunk."""
        known = self.prepare(labels, logits.shape[1])
        figures = torch.cat(
            [
                self.measure(widen(logits[:, part]), targets, known[part])
                for part, targets in self._chunks(logits, labels)
            ]
        )
        if self.over_batch:
            figures = sum_over_ranks(figures)
        return self.value(figures), (figures, known)

    def add_gradient(
        self,
        gradient: torch.Tensor,
        logits: torch.Tensor,
        labels: torch.Tensor,
        state: Any,
        scale: torch.Tensor,
    ) -> None:
        """By autograd through the value of the figures, then through each chunk's figures."""
        figures, known = state
        with torch.enable_grad():
            leaf = figures.detach().requires_grad_()
            (slopes,) = torch.autograd.grad(self.value(leaf) * scale, leaf)
        if self.over_batch:
            slopes = slopes * rank_count()  # the mean of all processes' gradients is taken
        for part, targets in self._chunks(logits, labels):
            with torch.enable_grad():
                chunk = widen(logits[:, part]).detach().requires_grad_()
                # As a sum, not by grad_outputs: torch imports sympy, 2 s, to compare their shapes.
                rise = (self.measure(chunk, targets, known[part]) * slopes[part]).sum()
            gradient[:, part] += torch.autograd.grad(rise, chunk)[0]

    def _chunks(
        self, logits: torch.Tensor, labels: torch.Tensor
    ) -> Iterator[tuple[slice, torch.Tensor]]:
        classes = logits.shape[1]
        step = max(1, self.chunk * classes // max(logits.numel(), 1))
        for first in range(0, classes, step):
            part = slice(first, min(first + step, classes))
            yield part, unpack_part(labels, part, widest(logits.dtype))


class _WeightedSum(torch.autograd.Function):
    """Terms with weights: in forward the states of all, in backward one gradient for all."""

    @staticmethod
    def forward(
        ctx: Any,
        logits: torch.Tensor,
        labels: torch.Tensor,
        terms: Sequence[tuple[float, LeanLoss]],
    ) -> torch.Tensor:
        ctx.save_for_backward(logits, labels)
        ctx.terms, ctx.states, values = terms, [], []
        with torch.autocast(logits.device.type, enabled=False):
            for weight, loss in terms:
                value, state = loss.evaluate(logits, labels)
                ctx.states.append(state)
                values.append(weight * value)
        return torch.stack(values).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        logits, labels = ctx.saved_tensors
        gradient = torch.zeros_like(logits)
        with torch.autocast(logits.device.type, enabled=False):
            for (weight, loss), state in zip(ctx.terms, ctx.states, strict=True):
                loss.add_gradient(gradient, logits, labels, state, weight * scale)
        return gradient, None, None


def weighted_sum(
    terms: Sequence[tuple[float, LeanLoss]], logits: torch.Tensor, labels: torch.Tensor
) -> torch.Tensor:
    """The sum of weight times loss, whose backward makes one gradient for all of them.

    (N, C, h, w) logits of any float type and (N, h, w, ceil(C/8)) uint8 packed labels -> a scalar.
    All is computed in float32, in float64 for such logits; the gradient is scaled before it is
    rounded to the logits' type, so that what GradScaler saves from underflow stays saved. It cannot
    be differentiated again, and trains no parameters of the losses.
    """
    result: torch.Tensor = _WeightedSum.apply(logits, labels, terms)
    return result


def widest(dtype: torch.dtype) -> torch.dtype:
    """What logits of a type are computed in."""
    return dtype if dtype is torch.float64 else torch.float32


def widen(logits: torch.Tensor) -> torch.Tensor:
    """Logits in the type that they are computed in."""
    return logits.to(widest(logits.dtype))


def unpack_part(labels: torch.Tensor, part: slice, dtype: torch.dtype) -> torch.Tensor:
    """(N, h, w, P) uint8 -> 0 and 1 of the classes from part.start to part.stop, (N, k, h, w)."""
    bits = [(labels[..., c >> 3] >> (c & 7)) & 1 for c in range(part.start, part.stop)]
    return torch.stack(bits, dim=1).to(dtype)
