"""Less memory for training: activations inside blocks are computed again in the backward pass."""

from __future__ import annotations

import contextlib
import functools
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager


def recompute_activations(core: nn.Module) -> int:
    """Let a network keep only what goes into its blocks; gives how many blocks there are.

    A block is an entry of an outermost nn.Sequential or nn.ModuleList that has parameters: stages
    of an encoder, steps of a decoder. Chen et al. 2016, arXiv:1604.06174. Results and gradients
    stay the same bit for bit; BatchNorm counts a batch once.
    """
    found = list(blocks(core))
    for block in found:
        block.forward = functools.partial(_recomputed, block, block.forward)
    return len(found)


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The entries of outermost lists that have parameters: stages of an encoder, decoder steps."""
    for child in module.children():
        is_entry = isinstance(module, (nn.Sequential, nn.ModuleList))
        if not is_entry or isinstance(child, nn.ModuleList):  # a list has no forward of its own
            yield from blocks(child)
        elif any(True for _ in child.parameters()):
            yield child


def _recomputed(block: nn.Module, forward: Callable[..., Any], *inputs: Any, **options: Any) -> Any:
    if not (block.training and torch.is_grad_enabled()):
        return forward(*inputs, **options)

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return contextlib.nullcontext(), _statistics_at_rest(block)

    return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **options)


@contextlib.contextmanager
def _statistics_at_rest(block: nn.Module) -> Iterator[None]:
    """BatchNorm that normalises by the batch but does not count it a second time."""
    norms = [module for module in block.modules() if isinstance(module, _BatchNorm)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
