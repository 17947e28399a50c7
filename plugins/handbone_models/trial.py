"""What a network needs of its images and what of it lies idle, found by running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from handbone_cli import QuickShapes

if TYPE_CHECKING:
    from collections.abc import Sequence

MULTIPLES = (1, 2, 4, 8)
"""Sides to try, in divisors: PAN pools its coarsest map three times more."""


@dataclass(frozen=True)
class Needs:
    """What was found.

    Attributes:
        divisor: height and width must be its multiples.
        minimum: the least height and width.
        minimum_batch: the fewest images of a training step; 2 where a single pixel of each is
            normalised over the batch.
        idle_modules: never run, and of no effect on any output.
        idle_parameters: the others that no gradient reaches.
    """

    divisor: int
    minimum: int
    minimum_batch: int
    idle_modules: tuple[str, ...]
    idle_parameters: tuple[str, ...]


def find_needs(model: nn.Module, channels: int, divisors: Sequence[int]) -> Needs | None:
    """Run a network, as in training, on images of more and more pixels until it takes them.

    Gradients must be on, for what they reach.

    Args:
        model: (N, channels, h, w) -> (N, C, h, w), on any device, also meta; its running
            statistics are spoiled.
        channels: of the images.
        divisors: to try, in this order.

    Returns:
        None if it takes no image, or gives maps of another size.
    """
    trial = _Trial(model.train(), channels)
    for divisor in divisors:
        for side in (divisor * multiple for multiple in MULTIPLES):
            oblong = (side, side + divisor)
            images, output = 1, trial.run(1, oblong)
            if isinstance(output, ValueError):  # so normalisation over a batch of one says
                images, output = 2, trial.run(2, oblong)
            if not isinstance(output, torch.Tensor):
                continue
            idle = _find_idle(model, trial.called, output)
            # Where one pixel of one image is left it may be too little to normalise.
            square = trial.run(images, (side, side))
            least = side if isinstance(square, torch.Tensor) else side + divisor
            return Needs(divisor, least, images, *idle)
    return None


def takes(model: nn.Module, channels: int, side: int) -> bool:
    """Whether a network takes square images of a side."""
    return isinstance(_Trial(model.train(), channels).run(2, (side, side)), torch.Tensor)


def coarsest_stride(encoder: nn.Module, channels: int, side: int) -> int | None:
    """The stride of the last feature map for square images; None if it does not take them."""
    device = next(encoder.parameters()).device
    try:
        with QuickShapes():
            maps = encoder.train()(torch.zeros(2, channels, side, side, device=device))
    except Exception:  # noqa: BLE001  as above
        return None
    last = (maps[0] if isinstance(maps, tuple) else maps)[-1]
    return round(side / last.shape[-2])


def drop_idle(model: nn.Module, needs: Needs) -> None:
    """Take idle modules out of a network and freeze idle parameters.

    DistributedDataParallel waits for ever for gradients that never come.
    """
    for name in needs.idle_modules:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, nn.Identity())
    for name in needs.idle_parameters:
        model.get_parameter(name).requires_grad_(requires_grad=False)


class _Trial:
    """Runs a network and remembers which of its modules ran the last time."""

    def __init__(self, model: nn.Module, channels: int) -> None:
        self.model = model
        self.channels = channels
        self.called: set[nn.Module] = set()
        for module in model.modules():
            module.register_forward_pre_hook(lambda module, _: self.called.add(module))

    def run(self, count: int, size: tuple[int, int]) -> torch.Tensor | Exception | None:
        """The output for so many black images of a size, or what went wrong.

        None if the output is of another size.
        """
        self.called.clear()
        device = next(self.model.parameters()).device
        try:
            with QuickShapes():
                output = self.model(torch.zeros(count, self.channels, *size, device=device))
        except Exception as error:  # noqa: BLE001  what does not fit may raise anything
            return error
        return output if tuple(output.shape[-2:]) == size else None


def _find_idle(
    model: nn.Module, called: set[nn.Module], output: torch.Tensor
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    reached = _reached_parameters(output)
    modules: list[str] = []
    for name, module in model.named_modules():
        within = any(name.startswith(f"{outer}.") for outer in modules)
        own = {id(parameter) for parameter in module.parameters()}
        if own and not within and module not in called and not own & reached:
            modules.append(name)
    parameters = [
        name
        for name, parameter in model.named_parameters()
        if id(parameter) not in reached
        and parameter.requires_grad
        and not any(name.startswith(f"{outer}.") for outer in modules)
    ]
    return tuple(modules), tuple(parameters)


def _reached_parameters(output: torch.Tensor) -> set[int]:
    """The ids of the leaves of an output's graph, those whose gradients DDP waits for."""
    reached: set[int] = set()
    seen: set[object] = set()
    waiting = [output.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        reached.add(id(getattr(node, "variable", None)))
        waiting.extend(following for following, _ in node.next_functions)
    return reached
