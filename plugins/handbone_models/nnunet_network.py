"""nnU-Net's encoder and decoder as one network: heads for deep supervision, each tensor once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from torch import nn

from handbone_cli import HandboneError
from handbone_models.nnunet_options import DEFAULT_FEATURES
from handbone_models.nnunet_plan import plan_stages, stages_of

if TYPE_CHECKING:
    from handbone_cli import ModelContext
    from handbone_models.nnunet_options import NnunetResencOptions
    from handbone_models.nnunet_plan import Stages

NORMS = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}


class NnunetNetwork(nn.Module):
    """A U-Net of dynamic_network_architectures, (N, in_channels, h, w) -> (N, classes, h, w).

    h and w are multiples of `divisor` and at least `minimum`: one pixel cannot be normalised. With
    more heads than one it gives, while training, logits at the full resolution, 1/2, 1/4 ...: deep
    supervision (Lee et al. 2015, arXiv:1409.5185).

    Args:
        network: PlainConvUNet or ResidualEncoderUNet, initialised.
        divisor: the product of its strides.
        heads: resolutions that get logits, from the finest.
    """

    def __init__(self, network: Any, divisor: int, heads: int) -> None:
        super().__init__()
        self.encoder = network.encoder
        self.decoder = network.decoder
        # What is not trained is not built: DDP refuses parameters without gradients.
        self.decoder.seg_layers = nn.ModuleList([*self.decoder.seg_layers][::-1][:heads])
        self.divisor = divisor
        self.minimum = divisor + 1
        _name_layers_once(self)

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits at the resolution of the images; while training with the coarser ones."""
        *skips, maps = self.encoder(images)
        levels: list[torch.Tensor] = []
        steps = zip(self.decoder.transpconvs, self.decoder.stages, reversed(skips), strict=True)
        for upsample, stage, skip in steps:
            maps = stage(torch.cat((upsample(maps), skip), 1))
            levels = [maps, *levels] if self.training else [maps]
        logits = [head(level) for head, level in zip(self.decoder.seg_layers, levels, strict=False)]
        return logits if len(logits) > 1 else logits[0]


def choose_stages(options: NnunetResencOptions, context: ModelContext) -> Stages:
    """The stages that the options name, or those planned for the training patch."""
    return plan_stages(context.patch) if options.plan else stages_of(_features(options))


def count_heads(model: str, options: NnunetResencOptions, stages: Stages) -> int:
    """Resolutions that training looks at: the finest, or all of the decoder but the lowest.

    nnU-Net gives the lowest a weight of 0.

    Raises:
        HandboneError: deep supervision with so few stages that nothing but the finest is left.
    """
    heads = len(stages.features) - 2 if options.deep_supervision else 1
    if options.deep_supervision and heads < 2:
        raise HandboneError(
            f"model '{model}': deep_supervision = true needs at least 4 stages, and there are "
            f"{len(stages.features)}; give `features` more entries, or leave it out."
        )
    return heads


def common_arguments(
    options: NnunetResencOptions, context: ModelContext, stages: Stages
) -> dict[str, Any]:
    """What nnU-Net's plans say to both networks: 3x3, bias, affine norm, leaky ReLU 0.01."""
    return {
        "input_channels": context.in_channels,
        "n_stages": len(stages.features),
        "features_per_stage": stages.features,
        "conv_op": nn.Conv2d,
        "kernel_sizes": 3,
        "strides": [list(step) for step in stages.strides],
        "num_classes": context.classes,
        "conv_bias": True,
        "norm_op": NORMS[options.norm],
        "norm_op_kwargs": {"eps": 1e-5, "affine": True},
        "nonlin": nn.LeakyReLU,
        "nonlin_kwargs": {"negative_slope": 0.01, "inplace": True},
    }


def _features(options: NnunetResencOptions) -> tuple[int, ...]:
    return DEFAULT_FEATURES if options.features is None else options.features


def _name_layers_once(network: NnunetNetwork) -> None:
    """Drop the second names of layers, which a safetensors file would refuse as shared memory."""
    del network.decoder.encoder
    for block in list(network.modules()):
        if isinstance(block, ConvDropoutNormReLU):
            for name in ("conv", "norm", "nonlin"):
                if hasattr(block, name):
                    delattr(block, name)
