"""What a model costs, computed and never typed in: parameters, MACs, memory of a training step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import ModelContext, Options

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch
    from torch import nn

    from handbone_cli.host.registry import Component
    from handbone_cli.networks.wrapper import Segmenter

SIDE = 1024
"""Height and width of the image that costs are for, in px."""
CLASSES = 29
CHANNELS = 1
LONGEST = 160
"""Characters of another library's error that a reason quotes."""


class ModelCost(BaseModel):
    """The figures of a model for images of 1024 x 1024 px, one channel and 29 classes.

    Attributes:
        parameters: how many numbers it learns.
        macs: multiplications with an addition in the convolutions and matrix products of a forward
            pass of one image; None where it could not be measured.
        memory: bytes at the peak of a training step of `batch` images, in float32 with AdamW: see
            `handbone_cli.networks.memory.training_peak`; None likewise.
        batch: the fewest images that it trains on, 1 for most; nothing is divided by it.
        divisor: height and width must be its multiples.
        minimum: the least height and width, in px.
        reason: why a figure is missing, or ''.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    parameters: int
    macs: int | None
    memory: int | None
    batch: int
    divisor: int
    minimum: int
    reason: str = ""


def measure_cost(component: Component, options: Options) -> ModelCost:
    """Build a model without storage and measure it; a second or two, no memory to speak of.

    Weights are not downloaded: they change no figure. What a model cannot do without numbers in
    its tensors (code that branches on them) is left unmeasured, with the reason.

    Raises:
        HandboneError: it cannot be built.
    """
    import torch

    from handbone_cli.networks.wrapper import Segmenter

    if "pretrained" in type(options).model_fields:
        options = options.model_copy(update={"pretrained": False})
    core = _build(component, options)
    model = Segmenter(core, CLASSES, component.divisor).to("meta")
    image = torch.empty(1, CHANNELS, SIDE, SIDE, device="meta")
    images = image.new_empty(model.minimum_batch, CHANNELS, SIDE, SIDE)
    macs, no_macs = _try(lambda: count_macs(model, image))
    memory, no_memory = _try(lambda: _training_peak(model, images))
    return ModelCost(
        parameters=sum(each.numel() for each in core.parameters()),
        macs=macs,
        memory=memory,
        batch=model.minimum_batch,
        divisor=model.divisor,
        minimum=model.minimum,
        reason=no_macs or no_memory,
    )


def count_macs(model: nn.Module, images: torch.Tensor) -> int:
    """MACs of a forward pass in eval mode, half of the FLOPs that torch's own formulas give.

    Counted are convolutions, transposed ones and matrix products, those of attention among them;
    normalisation, activation, pooling and interpolation are not, as in the literature.

    Args:
        model: on any device.
        images: (N, in_channels, h, w) on the same device, which may be meta.
    """
    import torch

    from handbone_cli.networks.meta import QuickShapes
    from handbone_cli.networks.products import ProductCounter

    model.eval()
    with torch.no_grad(), QuickShapes(), ProductCounter() as counter:  # type: ignore[no-untyped-call]
        model(images)
    return int(counter.flops) // 2


def _training_peak(model: Segmenter, images: torch.Tensor) -> int:
    from handbone_cli.networks.memory import training_peak

    return training_peak(model, images)


def _build(component: Component, options: Options) -> nn.Module:
    """The model on the meta device; where only numbers can build it, from these."""
    from torch import nn

    from handbone_cli.networks.meta import parameters_without_storage

    context = ModelContext(CLASSES, CHANNELS, (SIDE, SIDE))
    try:
        with parameters_without_storage():
            core = component.builder()(options, context)
    except Exception:  # noqa: BLE001  a stranger's code; the real build will say what is wrong
        core = _build_for_real(component, options, context)
    if not isinstance(core, nn.Module):
        raise HandboneError(
            f"model '{component.name}' of {component.distribution} built a "
            f"{type(core).__name__}; expected a torch.nn.Module."
        )
    return core.to("meta")


def _build_for_real(component: Component, options: Options, context: ModelContext) -> Any:
    import torch

    try:
        with torch.random.fork_rng(devices=[]):
            return component.builder()(options, context)
    except HandboneError:
        raise
    except Exception as error:
        raise HandboneError(
            f"model '{component.name}' of {component.distribution} {component.version} cannot be "
            f"built: {_quote(error)}."
        ) from error


def _try(measure: Callable[[], int]) -> tuple[int | None, str]:
    """A figure, or None and why it cannot be had without numbers in the tensors."""
    try:
        return measure(), ""
    except Exception as error:  # noqa: BLE001  a stranger's forward pass may raise anything
        return None, f"not measured on tensors without numbers: {_quote(error)}"


def _quote(error: Exception) -> str:
    first = next(iter(str(error).strip().splitlines()), "").rstrip(".!")
    text = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 4]} ..."
