"""nnU-Net's plain convolutional U-Net, built from nnU-Net's own building blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamic_network_architectures.architectures.unet import PlainConvUNet
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from dynamic_network_architectures.initialization.weight_init import InitWeights_He
from torch import nn

from handbone_cli import HandboneError

if TYPE_CHECKING:
    from handbone_cli import ModelContext
    from handbone_models.options import NnunetOptions

NORMS = {"instance": nn.InstanceNorm2d, "batch": nn.BatchNorm2d}


def build(options: NnunetOptions, context: ModelContext) -> nn.Module:
    """U-Net with the settings nnU-Net plans for 2D data, without deep supervision.

    Isensee et al. 2021, doi:10.1038/s41592-020-01008-z: 3x3 convolutions with bias, strided
    downsampling, transposed-convolution upsampling, leaky ReLU 0.01, He initialisation.
    (N, in_channels, h, w) -> (N, classes, h, w), h and w multiples of the model's `divisor`,
    2 ** (stages - 1).

    Raises:
        HandboneError: the training patch has a single pixel left at the last stage.
    """
    stages = len(options.features)
    divisor: int = 2 ** (stages - 1)
    _require_pixels_to_normalise(context.patch, stages, divisor)
    network = PlainConvUNet(
        input_channels=context.in_channels,
        n_stages=stages,
        features_per_stage=options.features,
        conv_op=nn.Conv2d,
        kernel_sizes=3,
        strides=[1] + [2] * (stages - 1),
        n_conv_per_stage=options.convs_per_stage,
        num_classes=context.classes,
        n_conv_per_stage_decoder=options.convs_per_stage,
        conv_bias=True,
        norm_op=NORMS[options.norm],
        norm_op_kwargs={"eps": 1e-5, "affine": True},
        nonlin=nn.LeakyReLU,
        nonlin_kwargs={"negative_slope": 0.01, "inplace": True},
    )
    network.apply(InitWeights_He(1e-2))
    # Heads of deep supervision would be parameters without gradients, which DDP refuses.
    network.decoder.seg_layers = network.decoder.seg_layers[-1:]
    _name_layers_once(network)
    network.divisor = divisor
    model: nn.Module = network
    return model


def _require_pixels_to_normalise(patch: tuple[int, int], stages: int, divisor: int) -> None:
    if max(patch) <= divisor:
        raise HandboneError(
            f"model 'nnunet': a patch of {patch[0]} x {patch[1]} px is a single pixel after "
            f"{stages} stages, and one pixel cannot be normalised; give `features` fewer entries "
            f"or use a patch over {divisor} px."
        )


def _name_layers_once(network: PlainConvUNet) -> None:
    """Drop the second names of layers, which a safetensors file would refuse as shared memory."""
    del network.decoder.encoder
    for block in list(network.modules()):
        if isinstance(block, ConvDropoutNormReLU):
            del block.conv, block.norm, block.nonlin
