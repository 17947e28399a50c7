"""nnU-Net's U-Net with a residual encoder, built from nnU-Net's own building blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamic_network_architectures.architectures.unet import ResidualEncoderUNet

from handbone_models.nnunet_network import (
    NnunetNetwork,
    choose_stages,
    common_arguments,
    count_heads,
)
from handbone_models.nnunet_plan import resenc_blocks

if TYPE_CHECKING:
    from torch import nn

    from handbone_cli import ModelContext
    from handbone_models.nnunet_options import NnunetResencOptions


def build(options: NnunetResencOptions, context: ModelContext) -> nn.Module:
    """U-Net of nnU-Net's ResEnc plans: 1, 3, 4, then 6 residual blocks a stage, a light decoder.

    Isensee et al. 2024, nnU-Net Revisited, arXiv:2404.09556; the presets M, L and XL are this
    network on patches for 8, 24 and 40 GB (`hb models plan nnunet_resenc`). Each residual branch
    starts at zero. (N, in_channels, h, w) -> (N, classes, h, w), h and w multiples of the model's
    `divisor`.

    Raises:
        HandboneError: too few stages for deep supervision.
    """
    stages = choose_stages(options, context)
    heads = count_heads("nnunet_resenc", options, stages)
    network = ResidualEncoderUNet(
        **common_arguments(options, context, stages),
        n_blocks_per_stage=resenc_blocks(len(stages.features)),
        n_conv_per_stage_decoder=1,
    )
    network.apply(network.initialize)
    return NnunetNetwork(network, max(stages.divisors), heads)
