"""nnU-Net's plain convolutional U-Net, built from nnU-Net's own building blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamic_network_architectures.architectures.unet import PlainConvUNet

from handbone_models.nnunet_network import (
    NnunetNetwork,
    choose_stages,
    common_arguments,
    count_heads,
)

if TYPE_CHECKING:
    from torch import nn

    from handbone_cli import ModelContext
    from handbone_models.nnunet_options import NnunetOptions


def build(options: NnunetOptions, context: ModelContext) -> nn.Module:
    """U-Net with the settings that nnU-Net plans for 2D data.

    Isensee et al. 2021, doi:10.1038/s41592-020-01008-z: 3x3 convolutions with bias, strided
    downsampling, transposed-convolution upsampling, leaky ReLU 0.01, He initialisation.
    (N, in_channels, h, w) -> (N, classes, h, w), h and w multiples of the model's `divisor`.

    Raises:
        HandboneError: too few stages for deep supervision.
    """
    stages = choose_stages(options, context)
    heads = count_heads("nnunet", options, stages)
    network = PlainConvUNet(
        **common_arguments(options, context, stages),
        n_conv_per_stage=options.convs_per_stage,
        n_conv_per_stage_decoder=options.convs_per_stage,
    )
    network.apply(network.initialize)
    return NnunetNetwork(network, max(stages.divisors), heads)
