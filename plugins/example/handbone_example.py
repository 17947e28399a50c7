"""A fully convolutional network as a handbone plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_cli import Options, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from handbone_cli import ModelContext, Register

HANDBONE_API = 1


class TinyFcnOptions(Options):
    """What a recipe can set beside `name = "tiny_fcn"`."""

    width: int = 16
    """Channels of the hidden layers."""


def build(options: TinyFcnOptions, context: ModelContext) -> nn.Module:
    """(N, in_channels, h, w) images -> (N, classes, h, w) logits."""
    from torch import nn  # here, so that `hb plugins list` does not wait for torch

    return nn.Sequential(
        nn.Conv2d(context.in_channels, options.width, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(options.width, options.width, kernel_size=3, padding=4, dilation=4),
        nn.ReLU(),
        nn.Conv2d(options.width, context.classes, kernel_size=1),
        nn.Upsample(scale_factor=2, mode="bilinear"),
    )


@hookimpl
def handbone_models(register: Register) -> None:
    """Tell handbone the model's name; height and width must be multiples of 2."""
    register("tiny_fcn", build, options=TinyFcnOptions, summary="three convolutions", divisor=2)
