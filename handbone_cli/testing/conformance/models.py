"""What every model must do."""

from __future__ import annotations

import contextlib
import functools
import itertools
import tempfile
import unittest
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from handbone_cli.host.interfaces import ModelContext
from handbone_cli.networks.meta import QuickShapes, parameters_without_storage
from handbone_cli.networks.weights import load_tensors, own_tensors, restore_tensors, save_tensors
from handbone_cli.networks.wrapper import Segmenter
from handbone_cli.testing.conformance.requirements import (
    gpu_or_skip,
    require,
    require_shape,
    run_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from handbone_cli.testing.trial import Trial

PATCH = 64
"""Side of the patch of a model that is tried by its registration, px; more for large divisors."""
ODD_SIZES = ((33, 47),)


@dataclass
class TriedModel:
    """A model in handbone's wrapper and all that is needed to build it again.

    Attributes:
        build: what makes it, options included.
        context: C, input channels and patch.
        divisor: what the plugin registers.
        sizes: (h, w) that it must take; odd ones are the point.
        without_numbers: tensors have shapes alone, so that a large network takes a second; only
            `shapes` and `gradients` can be asked of it then.
        unasked: why the others are not, in a sentence.
    """

    build: Callable[[ModelContext], nn.Module]
    context: ModelContext
    divisor: int = 1
    sizes: Sequence[tuple[int, int]] = ODD_SIZES
    without_numbers: bool = False
    unasked: str = ""

    @functools.cached_property
    def model(self) -> Segmenter:
        """The one that most checks share, in eval mode; none of them changes it."""
        return self.fresh().eval()

    @functools.cached_property
    def twin(self) -> Segmenter:
        """Another one of the same seed, to be trained."""
        return self.model if self.without_numbers else self.fresh()

    @functools.cached_property
    def map(self) -> torch.Tensor:
        """The logits of the first for one image."""
        with torch.inference_mode():
            logits: torch.Tensor = self.model(self.images())
            return logits

    def fresh(self, seed: int = 1, **changes: Any) -> Segmenter:
        """Another one, from a seed, with changes of the context."""
        context = replace(self.context, **changes)
        empty = parameters_without_storage() if self.without_numbers else contextlib.nullcontext()
        with torch.random.fork_rng(devices=[]), empty:
            torch.manual_seed(seed)
            core = self.build(context)
        require(isinstance(core, nn.Module), f"build gave a {type(core).__name__}, no nn.Module")
        model = Segmenter(core, context.classes, self.divisor)
        return model.to("meta") if self.without_numbers else model

    def images(self, count: int = 1, size: tuple[int, int] | None = None) -> torch.Tensor:
        """(count, in_channels, h, w) of the patch or another size; always the same ones."""
        images = draw_images(count, self.context.in_channels, size or self.context.patch)
        return images.to("meta") if self.without_numbers else images

    def quick(self) -> AbstractContextManager[object]:
        """In this block it runs, on shapes alone where there are no numbers."""
        if not self.without_numbers:
            return contextlib.nullcontext()
        return QuickShapes()  # type: ignore[no-untyped-call]


def draw_images(count: int, channels: int, size: tuple[int, int]) -> torch.Tensor:
    """(count, channels, h, w) float32 as normalised radiographs are; always the same ones."""
    generator = torch.Generator().manual_seed(7)
    return torch.randn(count, channels, *size, generator=generator)


def shapes(tried: TriedModel) -> None:
    """Images of the patch and of odd sizes give logits (N, classes, h, w), one tensor in eval."""

    def look(_core: nn.Module, _images: object, logits: object) -> None:
        kind = type(logits).__name__
        if not isinstance(logits, torch.Tensor):
            raise AssertionError(f"in eval mode a model gives one tensor, not a {kind}")  # noqa: TRY004
        got = tuple(logits.shape)
        require(
            len(got) == 4 and got[:2] == (1, tried.context.classes),
            f"an image gave logits of {got}; expected (1, {tried.context.classes}, h, w)",
        )

    model = tried.model.eval()
    with torch.inference_mode(), tried.quick(), model.core.register_forward_hook(look):
        for size in (tried.context.patch, *tried.sizes):
            logits = model(tried.images(size=size))
            require_shape(logits, (1, tried.context.classes, *size))


def gradients(tried: TriedModel) -> None:
    """Training gives logits, or a list that begins with them, and a gradient to all weights."""
    model = tried.twin.train()
    images = tried.images(max(2, model.minimum_batch))
    with tried.quick():
        output = model(images)
    outputs = output if isinstance(output, list) else [output]
    require_shape(outputs[0], (len(images), tried.context.classes, *images.shape[-2:]))
    for each in outputs[1:]:  # at a resolution of their own
        require_shape(each, (len(images), tried.context.classes, *each.shape[-2:]))
    weights = model.output_weights
    require(
        weights is None or len(weights) == len(outputs),
        f"output_weights has {len(weights or ())} entries for {len(outputs)} outputs in training",
    )
    with tried.quick():
        torch.stack([each.float().square().mean() for each in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    named = [(name, p.grad) for name, p in model.named_parameters() if p.requires_grad]
    idle = [name for name, gradient in named if gradient is None]
    require(not idle, f"no gradient reaches {', '.join(idle[:5])}{' ...' if idle[5:] else ''}")
    if tried.without_numbers:
        return
    wild = [name for name, gradient in named if not bool(torch.isfinite(gradient).all())]  # type: ignore[arg-type]
    require(not wild, f"a gradient is not finite: that of {', '.join(wild[:5])}")


def repeats(tried: TriedModel) -> None:
    """In eval mode the same image gives the same map."""
    with torch.inference_mode():
        again = tried.model(tried.images())
    require(torch.equal(tried.map, again), "in eval mode the same image gave two maps")


def seeds(tried: TriedModel) -> None:
    """The same seed gives the same weights: they come from torch's generator alone."""
    again = dict(tried.twin.named_parameters())
    pairs = [(name, tensor, again[name]) for name, tensor in tried.model.named_parameters()]
    other = [name for name, one, two in pairs if not torch.equal(one, two)]
    require(not other, f"the same seed gave other weights in {', '.join(other[:5])}")


def contexts(tried: TriedModel) -> None:
    """It can be built for images of 3 channels, and for a single class."""
    model = tried.fresh(classes=1, in_channels=3).eval()
    with torch.inference_mode():
        logits = model(draw_images(1, 3, tried.context.patch))
    require(
        tuple(logits.shape) == (1, 1, *tried.context.patch),
        f"1 class and 3 channels: expected 1 map, got the shape {tuple(logits.shape)}",
    )


def precision(tried: TriedModel) -> None:
    """float32 images give finite float32 logits, and finite ones under bf16 autocast."""
    require(tried.map.dtype is torch.float32, f"float32 images gave logits of {tried.map.dtype}")
    require(bool(torch.isfinite(tried.map).all()), "a logit is not finite")
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        logits = tried.model(tried.images())
    require(logits.is_floating_point(), f"under bf16 autocast the logits are {logits.dtype}")
    require(bool(torch.isfinite(logits).all()), "under bf16 autocast a logit is not finite")


def weights(tried: TriedModel) -> None:
    """Weights go to a safetensors file and into another copy, which then gives the same map."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.safetensors"
        tensors = own_tensors(tried.model)
        _require_apart(tensors)
        save_tensors(path, tensors, {})
        copy = tried.fresh(seed=2).eval()
        restore_tensors(copy, load_tensors(path)[0], path)
    with torch.inference_mode():
        logits = copy(tried.images())
    require(
        torch.allclose(tried.map, logits, rtol=1e-4, atol=1e-5),
        "a copy with the same weights gives another map: something that is neither a parameter nor "
        "a buffer has a say in it",
    )


def gpu(tried: TriedModel) -> None:
    """It trains and predicts on a GPU."""
    device = gpu_or_skip()
    model = tried.fresh().to(device)
    images = tried.images(max(2, model.minimum_batch)).to(device)
    output = model.train()(images)
    main = output[0] if isinstance(output, list) else output
    main.float().square().mean().backward()
    with torch.inference_mode(), torch.autocast("cuda", dtype=torch.bfloat16):
        logits = model.eval()(images)
    require(logits.device.type == "cuda", f"on a GPU the logits came back on {logits.device}")
    require(bool(torch.isfinite(logits).all()), "on a GPU a logit is not finite")


def numbers(tried: TriedModel) -> None:
    """It does the rest of what a model must do."""
    raise unittest.SkipTest(tried.unasked)


CHECKS = (shapes, gradients, repeats, seeds, contexts, precision, weights, gpu)


def checks_of(trial: Trial) -> tuple[Callable[[TriedModel], None], ...]:
    """CHECKS; of one of many models without an example those that need no numbers."""
    return (shapes, gradients, numbers) if _in_brief(trial) else CHECKS


def prepare(trial: Trial) -> TriedModel:
    """A registered model with its example options, for three classes."""
    side = max(PATCH, 2 * trial.component.divisor)
    context = ModelContext(3, 1, (side, side))
    tried = TriedModel(trial.build, context, trial.component.divisor)
    if _in_brief(trial):
        name = trial.component.name
        tried.without_numbers = True
        tried.unasked = f"one of many, tried by its shapes; --name {name} tries it in full"
    tried.model  # noqa: B018  built now, so that what cannot be built says so
    return tried


def check_model(
    build: Callable[[Any, ModelContext], nn.Module],
    options: Any,
    context: ModelContext,
    *,
    divisor: int = 1,
    sizes: Sequence[tuple[int, int]] = ODD_SIZES,
) -> None:
    """A model does all that a model must do (handbone_cli.testing.conformance.models.CHECKS).

    Args:
        build: the factory that the plugin registers.
        options: what it is built with.
        context: C, input channels and patch.
        divisor: what the plugin registers.
        sizes: (h, w) that it must take inside handbone's wrapper; odd ones are the point.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedModel(functools.partial(build, options), context, divisor, sizes))


def _in_brief(trial: Trial) -> bool:
    return trial.brief and trial.component.example is None


def _require_apart(tensors: Mapping[str, torch.Tensor]) -> None:
    """A file holds each tensor by itself: what is one memory here would be two after loading."""
    spans = sorted(
        (tensor.data_ptr(), tensor.data_ptr() + tensor.numel() * tensor.element_size(), name)
        for name, tensor in tensors.items()
    )
    for (_, end, one), (start, _, other) in itertools.pairwise(spans):
        require(start >= end, f"{one} and {other} share memory; a checkpoint holds each by itself")
