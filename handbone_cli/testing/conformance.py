"""What every component of a kind must do, checked in one call; AssertionError otherwise."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from handbone_cli.masks import plane_count
from handbone_cli.networks.wrapper import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from handbone_cli.host.interfaces import Loss, ModelContext, PostProcessor, TtaTransform

SURE = 20.0
"""Logits of a model that has no doubt."""


def check_model(
    build: Callable[[Any, ModelContext], nn.Module],
    options: Any,
    context: ModelContext,
    *,
    divisor: int = 1,
    sizes: Sequence[tuple[int, int]] = ((33, 47),),
) -> None:
    """A model gives logits of the right shape, learns in all its parts, and repeats itself.

    Args:
        build: the factory that the plugin registers.
        options: what it is built with.
        context: C, input channels and patch.
        divisor: what the plugin registers.
        sizes: (h, w) that it must take inside handbone's wrapper; odd ones are the point.
    """
    core = build(options, context)
    _require(isinstance(core, nn.Module), f"build gave a {type(core).__name__}, no nn.Module")
    model = Segmenter(core, context.classes, divisor)
    images = torch.rand(2, context.in_channels, *context.patch)
    _require_gradients(model, images, context.classes)
    model.eval()
    with torch.inference_mode():
        for size in (context.patch, *sizes):
            view = torch.rand(1, context.in_channels, *size)
            first = model(view)
            _require(isinstance(first, torch.Tensor), "in eval mode a model gives one tensor")
            _require_shape(first, (1, context.classes, *size))
            _require(torch.equal(first, model(view)), "in eval mode the same image gave two maps")


def _require_gradients(model: Segmenter, images: torch.Tensor, classes: int) -> None:
    model.train()
    output = model(images)
    outputs = output if isinstance(output, list) else [output]
    for each in outputs:
        _require_shape(each, (len(images), classes, *images.shape[-2:]))
    torch.stack([each.float().square().mean() for each in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    _require(not idle, f"no gradient reaches {', '.join(idle[:5])}")


def check_loss(loss: Loss, classes: int = 3, size: tuple[int, int] = (8, 10)) -> None:
    """A loss is one finite number with gradients, and lowest for the right answer.

    Tried with sure, unsure and wrong logits, with labels of some bones and of none.
    """
    rng = np.random.default_rng(5)
    labels = torch.from_numpy(
        rng.integers(0, 256, (2, *size, plane_count(classes))).astype(np.uint8)
    )
    bits = np.unpackbits(labels.numpy(), axis=-1, count=classes, bitorder="little")
    truth = torch.from_numpy(bits).permute(0, 3, 1, 2).float()
    right = (2 * truth - 1) * SURE
    values = {}
    cases = {"right": right, "unsure": torch.zeros_like(right), "wrong": -right}
    for name, logits in cases.items():
        values[name] = _finite_loss(loss, logits, labels, name)
    _finite_loss(loss, right, torch.zeros_like(labels), "no bone anywhere")
    ordered = values["right"] < values["unsure"] < values["wrong"]
    _require(ordered, f"right, unsure and wrong logits must rise in this order, got {values}")


def _finite_loss(loss: Loss, logits: torch.Tensor, labels: torch.Tensor, what: str) -> float:
    logits = logits.clone().requires_grad_()
    value = loss(logits, labels)
    _require_shape(value, ())
    value.backward()  # type: ignore[no-untyped-call]
    _require(bool(torch.isfinite(value)), f"the loss is {float(value.detach())} for {what}")
    _require(logits.grad is not None, f"no gradient reaches the logits for {what}")
    finite = logits.grad is not None and bool(torch.isfinite(logits.grad).all())
    _require(finite, f"a gradient is not finite for {what}")
    return float(value.detach())


def check_tta(
    transform: TtaTransform,
    *,
    exact: bool = True,
    sizes: Sequence[tuple[int, int]] = ((6, 9), (7, 4)),
) -> None:
    """A view can be taken back: maps come back in the image's size and, if exact, unchanged."""
    for size in sizes:
        images = torch.rand(2, 3, *size)
        before = images.clone()
        back = transform.restore(transform.augment(images), size)
        _require(torch.equal(images, before), "the view changed the image it was given")
        _require_shape(back, (2, 3, *size))
        _require(back.dtype == images.dtype, f"the maps came back as {back.dtype}")
        if exact:
            _require(torch.equal(back, images), f"{size}: maps do not come back as they went")


def check_postprocessor(rule: PostProcessor, class_name: str = "Radius") -> None:
    """A rule gives booleans of the mask's shape, the same every time, and leaves its argument."""
    rng = np.random.default_rng(5)
    for density, size in ((0.0, (5, 7)), (0.5, (40, 30)), (1.0, (6, 6))):
        mask = rng.random(size) < density
        before = copy.deepcopy(mask)
        result = rule(mask, class_name)
        _require(np.array_equal(mask, before), "the rule changed the mask it was given")
        _require(result.shape == mask.shape, f"{mask.shape} became {result.shape}")
        _require(result.dtype == np.bool_, f"the mask came back as {result.dtype}")
        _require(np.array_equal(result, rule(mask, class_name)), "one mask gave two answers")


def _require_shape(tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    _require(tuple(tensor.shape) == shape, f"expected the shape {shape}, got {tuple(tensor.shape)}")


def _require(condition: bool, sentence: str) -> None:  # noqa: FBT001
    if not condition:
        raise AssertionError(sentence)
