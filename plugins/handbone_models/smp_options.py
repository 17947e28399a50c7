"""What can be set in the models of segmentation_models_pytorch; importable without torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveInt, model_validator

from handbone_cli import Options

Share = Annotated[float, Field(ge=0, lt=1)]
SQUEEZE = 16
"""By how much the attention of scSE narrows its channels."""
GROUPS = 32
"""Of the group normalisation in FPN."""


class PretrainedOptions(Options):
    """Of models whose encoder is fixed."""

    pretrained: bool = False
    """Start the encoder from ImageNet weights, downloaded on first use."""


class EncoderOptions(Options):
    """Of models whose encoder can be chosen."""

    encoder: str = "resnet50"
    """An encoder of segmentation_models_pytorch, or `tu-NAME` for a model of timm."""
    pretrained: bool = False
    """Start the encoder from ImageNet weights, downloaded on first use."""


class FiveStages(Options):
    """Of decoders that double the resolution five times."""

    decoder_channels: tuple[PositiveInt, ...] = Field(
        (256, 128, 64, 32, 16), min_length=5, max_length=5
    )
    """Channels of the decoder at strides 16, 8, 4, 2 and 1."""


class Attention(FiveStages):
    """Of the decoders that take an attention module."""

    attention: Literal["none", "scse"] = "none"
    """Attention in each block of the decoder: scSE (arXiv:1808.08127) or none."""

    @model_validator(mode="after")
    def _channels_for_attention(self) -> Attention:
        if self.attention == "scse" and min(self.decoder_channels) < SQUEEZE:
            raise ValueError(
                f'attention = "scse" divides channels by {SQUEEZE}, and decoder_channels has '
                f"{min(self.decoder_channels)}; expected {SQUEEZE} or more each"
            )
        return self


class FixedUnetOptions(Attention, PretrainedOptions):
    """Options of unet_mit_b0 to b5 and unet_efficientnet_b0 to b7."""


class UnetOptions(Attention, EncoderOptions):
    """Options of unet."""

    encoder: str = "efficientnet-b2"
    """An encoder of segmentation_models_pytorch, or `tu-NAME` for a model of timm."""


class UnetPlusPlusOptions(Attention, EncoderOptions):
    """Options of unetplusplus."""

    encoder: str = "resnet34"
    """An encoder with a feature map at stride 2: most, but none of `mit_b0` to `mit_b5`."""


class ManetOptions(FiveStages, EncoderOptions):
    """Options of manet."""

    encoder: str = "resnet34"
    """An encoder of segmentation_models_pytorch, or `tu-NAME` for a model of timm."""
    pab_channels: PositiveInt = 64
    """Channels of the position-wise attention at the coarsest resolution."""


class LinknetOptions(EncoderOptions):
    """Options of linknet."""

    encoder: str = "resnet34"
    """An encoder with a feature map at stride 2: most, but none of `mit_b0` to `mit_b5`."""


class FpnOptions(EncoderOptions):
    """Options of fpn."""

    pyramid_channels: PositiveInt = 256
    """Channels of the pyramid, the same at each of its four resolutions."""
    segmentation_channels: int = Field(128, gt=0, multiple_of=GROUPS)
    """Channels of each branch after the pyramid, normalised in 32 groups."""
    merge: Literal["add", "cat"] = "add"
    """How the branches come together: added up, or one after another."""
    dropout: Share = 0.2
    """Chance of a channel to be dropped before the head."""


class PspnetOptions(EncoderOptions):
    """Options of pspnet."""

    output_stride: Literal[8, 16, 32] = 8
    """Stride of the last feature map; below 32 the encoder is dilated, which not all can be."""
    decoder_channels: PositiveInt = 512
    """Channels after the pyramid of poolings."""
    dropout: Share = 0.2
    """Chance of a channel to be dropped before the head."""


class PanOptions(EncoderOptions):
    """Options of pan."""

    output_stride: Literal[16, 32] = 16
    """Stride of the last feature map; below 32 the encoder is dilated, which not all can be."""
    decoder_channels: PositiveInt = 32
    """Channels of the decoder."""


class DeeplabOptions(EncoderOptions):
    """What DeepLabV3 and DeepLabV3+ have in common."""

    output_stride: Literal[8, 16] = 16
    """Stride of the last feature map; for it the encoder is dilated, which not all can be."""
    decoder_channels: PositiveInt = 256
    """Channels of the atrous pyramid."""
    atrous_rates: tuple[PositiveInt, PositiveInt, PositiveInt] = (12, 24, 36)
    """Dilations of the pyramid; the papers halve them at an output stride of 16."""
    dropout: Share = 0.5
    """Chance of a value to be dropped after the pyramid."""


class Deeplabv3Options(DeeplabOptions):
    """Options of deeplabv3."""

    output_stride: Literal[8, 16] = 8
    """Stride of the last feature map; for it the encoder is dilated, which not all can be."""


class Deeplabv3PlusOptions(DeeplabOptions):
    """Options of deeplabv3plus."""


class UpernetOptions(EncoderOptions):
    """Options of upernet."""

    decoder_channels: PositiveInt = 256
    """Channels of the pyramid and of the fusion; the authors' code has 512, and 256 as its lite."""


class FixedUpernetOptions(PretrainedOptions):
    """Options of upernet_swin_tiny to base and upernet_convnext_small."""

    decoder_channels: PositiveInt = 512
    """Channels of the pyramid and of the fusion."""
    drop_path: Share = 0.3
    """Chance of the encoder's last block to be skipped while training; earlier ones less."""


class DroppingUpernetOptions(FixedUpernetOptions):
    """Options of upernet_convnext_tiny, base and large."""

    drop_path: Share = 0.4
    """Chance of the encoder's last block to be skipped while training; earlier ones less."""


class SegformerOptions(EncoderOptions):
    """Options of segformer."""

    encoder: str = "mit_b2"
    """An encoder of segmentation_models_pytorch, or `tu-NAME` for a model of timm."""
    decoder_channels: PositiveInt = 256
    """Channels to which each resolution is brought before they are joined; segformer_b2: 768."""


class SmallSegformerOptions(PretrainedOptions):
    """Options of segformer_b0 and segformer_b1."""

    decoder_channels: PositiveInt = 256
    """Channels to which each resolution is brought before they are joined."""


class LargeSegformerOptions(PretrainedOptions):
    """Options of segformer_b2 to segformer_b5."""

    decoder_channels: PositiveInt = 768
    """Channels to which each resolution is brought before they are joined."""


class DptOptions(EncoderOptions):
    """Options of dpt."""

    encoder: str = "tu-vit_base_patch16_224"
    """A vision transformer of timm, as `tu-NAME`; patches of 14 px are brought to 16."""
    readout: Literal["cat", "add", "ignore"] = "cat"
    """What becomes of the class token, where there is one: joined to each patch, added, or none."""
    intermediate_channels: tuple[PositiveInt, PositiveInt, PositiveInt, PositiveInt] = (
        256,
        512,
        1024,
        1024,
    )
    """Channels of the four reassembled maps at strides 4, 8, 16 and 32."""
    fusion_channels: PositiveInt = 256
    """Channels to which those are brought and fused."""
