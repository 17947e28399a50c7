"""What every loss must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import LossContext
from handbone_cli.testing.conformance.requirements import (
    gpu_or_skip,
    require,
    require_shape,
    run_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Loss
    from handbone_cli.testing.trial import Trial

SURE = 20.0
"""Logits of a model that has no doubt."""
LARGE = 1e4
"""Logits of a model that has run away; half precision still has them."""
HALF_SIZE = (320, 256)
"""A sum over so many pixels is more than fp16 can hold."""
CLASSES = 9
"""Two planes of packed labels."""


@dataclass(frozen=True, eq=False)
class TriedLoss:
    """A loss, and what builds it for other classes.

    Attributes:
        loss: for C classes.
        classes: C.
        size: (h, w) of the maps.
        build: C -> the loss of so many classes, where it can be built again.
    """

    loss: Loss
    classes: int = 3
    size: tuple[int, int] = (8, 10)
    build: Callable[[int], Loss] | None = None

    def truth(self, size: tuple[int, int] | None = None) -> torch.Tensor:
        """(2, C, h, w) of 0 and 1 at random, each pixel and class by itself."""
        return draw_truth(self.classes, size or self.size)


def draw_truth(classes: int, size: tuple[int, int]) -> torch.Tensor:
    """(2, classes, h, w) of 0 and 1, always the same ones."""
    return torch.from_numpy(np.random.default_rng(5).random((2, classes, *size)) < 0.5).float()


def pack(truth: torch.Tensor) -> torch.Tensor:
    """(N, C, h, w) of 0 and 1 -> (N, h, w, ceil(C/8)) uint8 packed labels."""
    bits = truth.permute(0, 2, 3, 1).numpy().astype(bool)
    return torch.from_numpy(np.packbits(bits, axis=-1, bitorder="little"))


def scalar(tried: TriedLoss) -> None:
    """It is one finite number, in float32 for float32 logits."""
    truth = tried.truth()
    value = tried.loss(torch.zeros_like(truth), pack(truth))
    require_shape(value, ())
    require(value.dtype is torch.float32, f"float32 logits gave a loss of {value.dtype}")
    require(bool(torch.isfinite(value)), f"the loss is {float(value)}")


def order(tried: TriedLoss) -> None:
    """It is lowest for right logits, higher for unsure ones, highest for wrong ones."""
    truth = tried.truth()
    right = (2 * truth - 1) * SURE
    cases = {"right": right, "unsure": torch.zeros_like(right), "wrong": -right}
    values = {name: float(tried.loss(logits, pack(truth))) for name, logits in cases.items()}
    require(
        values["right"] < values["unsure"] < values["wrong"],
        f"right, unsure and wrong logits must rise in this order, got {values}",
    )


def gradients(tried: TriedLoss) -> None:
    """Its gradient is finite for right, unsure and wrong logits, also for no bone or all."""
    truth = tried.truth()
    for what, mask in (
        ("labels of some bones", truth),
        ("no bone anywhere", torch.zeros_like(truth)),
        ("every bone everywhere", torch.ones_like(truth)),
    ):
        right = (2 * mask - 1) * SURE
        for how, logits in (("right", right), ("unsure", 0 * right), ("wrong", -right)):
            _require_finite(tried.loss, logits, mask, f"{how} logits and {what}")


def large(tried: TriedLoss) -> None:
    """Logits of 10 000 give a finite loss with finite gradients."""
    truth = tried.truth()
    for sign in (1, -1):
        _require_finite(tried.loss, sign * LARGE * (2 * truth - 1), truth, "logits of 10 000")


def half(tried: TriedLoss) -> None:
    """bf16 and fp16 logits of 320 x 256 px give the loss of float32 ones, and finite gradients."""
    truth = tried.truth(HALF_SIZE)
    generator = torch.Generator().manual_seed(7)
    logits = torch.randn(truth.shape, generator=generator)
    for dtype in (torch.bfloat16, torch.float16):
        short = logits.to(dtype)
        whole = _require_finite(tried.loss, short.float(), truth, "float32 logits")
        value = _require_finite(tried.loss, short, truth, f"{dtype} logits".removeprefix("torch."))
        require(
            abs(value - whole) <= 0.01 * abs(whole) + 1e-3,
            f"the loss of {dtype} logits is {value:.5g}, that of the same in float32 {whole:.5g}; "
            "begin with logits.float()",
        )


def inputs(tried: TriedLoss) -> None:
    """It changes neither logits nor labels."""
    truth = tried.truth()
    logits, labels = (2 * truth - 1) * SURE, pack(truth)
    before = logits.clone(), labels.clone()
    tried.loss(logits.requires_grad_(), labels).backward()  # type: ignore[no-untyped-call]
    require(torch.equal(logits.detach(), before[0]), "the loss changed the logits it was given")
    require(torch.equal(labels, before[1]), "the loss changed the labels it was given")


def repeats(tried: TriedLoss) -> None:
    """The same logits and labels give the same loss."""
    truth = tried.truth()
    first, second = (float(tried.loss(0.5 - truth, pack(truth))) for _ in range(2))
    require(first == second, f"the same logits and labels gave {first} and {second}")


def classes(tried: TriedLoss) -> None:
    """It can be built for 29 classes and for 1, or says in a sentence why not for 1."""
    if tried.build is None:
        return
    for count in (1, 29):
        truth = draw_truth(count, tried.size)
        try:
            loss = tried.build(count)
        except HandboneError:
            require(count == 1, f"it cannot be built for {count} classes")
            continue
        _require_finite(loss, 0.5 - truth, truth, f"{count} classes")


def gpu(tried: TriedLoss) -> None:
    """It works on a GPU as it is, without being moved there."""
    device = gpu_or_skip()
    truth = tried.truth()
    logits = torch.zeros_like(truth, device=device).requires_grad_()
    value = tried.loss(logits, pack(truth).to(device))
    value.backward()  # type: ignore[no-untyped-call]
    here = float(tried.loss(torch.zeros_like(truth), pack(truth)))
    require(
        abs(float(value.detach()) - here) <= 1e-3 * abs(here) + 1e-5,
        f"the loss is {float(value.detach()):.5g} on a GPU and {here:.5g} on a CPU",
    )


CHECKS = (scalar, repeats, order, gradients, large, half, inputs, classes, gpu)


def prepare(trial: Trial) -> TriedLoss:
    """A registered loss with its example options, for nine classes that all overlap."""

    def build(count: int) -> Loss:
        return build_for(trial, tuple(f"bone-{index}" for index in range(count)))

    return TriedLoss(build(CLASSES), CLASSES, build=build)


def build_for(trial: Trial, names: tuple[str, ...]) -> Loss:
    """The loss of a trial for named classes; combinations find their terms in its registry."""

    def build_loss(name: str, options: Mapping[str, Any]) -> Loss:
        loss: Loss = trial.registry.build("losses", name, options, context)
        return loss

    context = LossContext(names, build_loss, lambda: _overlaps(len(names)))
    made: Loss = trial.build(context)
    return made


def check_loss(loss: Loss, classes: int = 3, size: tuple[int, int] = (8, 10)) -> None:
    """A loss does all that a loss must do (handbone_cli.testing.conformance.losses.CHECKS).

    Args:
        loss: for so many classes.
        classes: C.
        size: (h, w) of the maps it is tried with.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedLoss(loss, classes, size))


def _require_finite(loss: Loss, logits: torch.Tensor, truth: torch.Tensor, what: str) -> float:
    leaf = logits.detach().clone().requires_grad_()
    value = loss(leaf, pack(truth))
    require_shape(value, ())
    require(bool(torch.isfinite(value)), f"the loss is {float(value.detach())} for {what}")
    require(value.requires_grad, f"no gradient reaches the logits for {what}")
    value.backward()  # type: ignore[no-untyped-call]
    if leaf.grad is None:
        raise AssertionError(f"no gradient reaches the logits for {what}")
    require(bool(torch.isfinite(leaf.grad).all()), f"a gradient is not finite for {what}")
    return float(value.detach())


def _overlaps(count: int) -> NDArray[np.float64]:
    """As if any two bones shared a hundredth of the image."""
    return np.full((count, count), 0.01)
