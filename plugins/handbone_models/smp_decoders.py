"""The decoders of segmentation_models_pytorch, each on any encoder that fits it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import segmentation_models_pytorch as smp
import torch

from handbone_cli import HandboneError
from handbone_models.encoders import facts_of, require_encoder, weights_of
from handbone_models.fit import UnfitError, examine
from handbone_models.pretrained import explain_failure
from handbone_models.storage import build_without_storage
from handbone_models.trial import drop_idle

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from handbone_cli import ModelContext
    from handbone_models.smp_options import (
        Attention,
        DeeplabOptions,
        DptOptions,
        FixedUpernetOptions,
        FpnOptions,
        LinknetOptions,
        ManetOptions,
        PanOptions,
        PspnetOptions,
        SegformerOptions,
        UpernetOptions,
    )

WITH_STRIDE_2 = ("resnet34", "resnet50", "efficientnet-b2", "mobilenet_v2")
PYRAMIDS = (*WITH_STRIDE_2, "mit_b2")
DILATED = ("resnet50", "resnet101", "efficientnet-b2", "mobilenet_v2")
TRANSFORMERS = (
    "tu-vit_small_patch16_224",
    "tu-vit_base_patch16_224",
    "tu-deit3_base_patch16_224",
    "tu-vit_base_patch14_dinov2",
)


@dataclass(frozen=True)
class Decoder:
    """A decoder of smp.

    Attributes:
        name: of the model.
        architecture: smp's class.
        settings: its arguments for some options and an encoder.
        familiar: some encoders that fit.
    """

    name: str
    architecture: Any
    settings: Callable[[Any, str], dict[str, Any]]
    familiar: tuple[str, ...] = PYRAMIDS


def build(
    options: Any, context: ModelContext, *, decoder: Decoder, name: str = "", encoder: str = ""
) -> nn.Module:
    """A decoder on an encoder, without the parts of either that no gradient would reach.

    (N, in_channels, h, w) -> (N, classes, h, w), h and w multiples of the model's `divisor`. What
    sizes and batches it takes is found out on a twin without storage, before any download.

    Args:
        options: of the model.
        context: of the run.
        decoder: which.
        name: of the model if its encoder is fixed.
        encoder: that encoder; the options' by default.

    Raises:
        HandboneError: an unknown encoder, one that does not fit the decoder, or weights that
            cannot be downloaded.
    """
    name, encoder = name or decoder.name, encoder or options.encoder
    require_encoder(name, encoder, decoder.familiar)
    construct = partial(
        decoder.architecture,
        encoder_name=encoder,
        in_channels=context.in_channels,
        classes=context.classes,
        **decoder.settings(options, encoder),
        **facts_of(encoder).keywords,
    )
    try:
        needs = examine(decoder.architecture, **construct.keywords)
    except UnfitError as error:
        raise HandboneError(
            f"model '{name}' cannot use encoder '{encoder}': {error}; "
            f"choose one of {', '.join(decoder.familiar)}."
        ) from error
    with explain_failure(name, encoder, pretrained=options.pretrained):
        weights = weights_of(encoder) if options.pretrained else None
        model = _construct(partial(construct, encoder_weights=weights))
    drop_idle(model, needs)
    model.divisor, model.minimum = needs.divisor, needs.minimum  # type: ignore[assignment]
    model.minimum_batch = needs.minimum_batch  # type: ignore[assignment]
    return model


def _construct(construct: Callable[[], nn.Module]) -> nn.Module:
    on_meta = torch.get_default_device().type == "meta"
    return build_without_storage(construct) if on_meta else construct()


def _unet(options: Attention, _: str) -> dict[str, Any]:
    """U-Net: skip connections at each resolution.

    Ronneberger et al. 2015, arXiv:1505.04597; UNet++ nests them, Zhou et al. 2018,
    arXiv:1807.10165.
    """
    return {
        "decoder_channels": options.decoder_channels,
        "decoder_attention_type": None if options.attention == "none" else options.attention,
    }


def _manet(options: ManetOptions, _: str) -> dict[str, Any]:
    """MA-Net: attention between positions, and between channels of two scales.

    Fan et al. 2020, doi:10.1109/ACCESS.2020.3025372.
    """
    return {
        "decoder_channels": options.decoder_channels,
        "decoder_pab_channels": options.pab_channels,
    }


def _linknet(_: LinknetOptions, __: str) -> dict[str, Any]:
    """LinkNet: skip connections added, not joined. Chaurasia 2017, arXiv:1707.03718."""
    return {}


def _fpn(options: FpnOptions, _: str) -> dict[str, Any]:
    """Feature pyramid, its four resolutions brought together at stride 4.

    Kirillov et al. 2019, arXiv:1901.02446.
    """
    return {
        "decoder_pyramid_channels": options.pyramid_channels,
        "decoder_segmentation_channels": options.segmentation_channels,
        "decoder_merge_policy": options.merge,
        "decoder_dropout": options.dropout,
    }


def _pspnet(options: PspnetOptions, _: str) -> dict[str, Any]:
    """PSPNet: the last map of a dilated encoder pooled to 1, 2, 3 and 6 squared.

    Zhao et al. 2017, arXiv:1612.01105. smp alone would stop at the encoder's third stage.
    """
    return {
        "encoder_depth": 5,
        "output_stride": options.output_stride,
        "upsampling": options.output_stride,
        "psp_out_channels": options.decoder_channels,
        "psp_dropout": options.dropout,
    }


def _pan(options: PanOptions, _: str) -> dict[str, Any]:
    """Pyramid attention on the coarsest map, global attention on the way up.

    Li et al. 2018, arXiv:1805.10180.
    """
    return {
        "encoder_output_stride": options.output_stride,
        "decoder_channels": options.decoder_channels,
    }


def _deeplab(options: DeeplabOptions, _: str) -> dict[str, Any]:
    """Atrous pyramid on a dilated encoder; DeepLabV3+ refines it at stride 4.

    Chen et al. 2017, arXiv:1706.05587; 2018, arXiv:1802.02611.
    """
    return {
        "encoder_output_stride": options.output_stride,
        "decoder_channels": options.decoder_channels,
        "decoder_atrous_rates": options.atrous_rates,
        "decoder_aspp_dropout": options.dropout,
    }


def _upernet(options: UpernetOptions, _: str) -> dict[str, Any]:
    """Pooling pyramid on the coarsest map, feature pyramid, all joined at stride 4.

    Xiao et al. 2018, arXiv:1807.10221. smp normalises the encoder's maps first, which is Swin's
    and ConvNeXt's way.
    """
    return {"decoder_channels": options.decoder_channels}


def _fixed_upernet(options: FixedUpernetOptions, _: str) -> dict[str, Any]:
    """UPerNet as Swin (arXiv:2103.14030) and ConvNeXt (arXiv:2201.03545) use it.

    Channels and rates of stochastic depth are those of mmsegmentation's configs/_base_/models/
    upernet_swin.py and of ConvNeXt's semantic_segmentation/configs/convnext; of these, smp has
    neither the dropout of 0.1 before the head nor the auxiliary head.
    """
    return {"decoder_channels": options.decoder_channels, "drop_path_rate": options.drop_path}


def _segformer(options: SegformerOptions, _: str) -> dict[str, Any]:
    """SegFormer: each resolution brought to the same channels and to stride 4, then joined.

    Xie et al. 2021, arXiv:2105.15203; channels are those of NVlabs/SegFormer's local_configs, 256
    for B0 and B1 and 768 for B2 to B5. smp has no dropout before the head, where these have 0.1.
    """
    return {"decoder_segmentation_channels": options.decoder_channels}


def _dpt(options: DptOptions, encoder: str) -> dict[str, Any]:
    """Dense prediction transformer: four depths of a vision transformer become a pyramid.

    Ranftl et al. 2021, arXiv:2103.13413.
    """
    return {
        "decoder_readout": options.readout if facts_of(encoder).class_token else "ignore",
        "decoder_intermediate_channels": options.intermediate_channels,
        "decoder_fusion_channels": options.fusion_channels,
    }


UNET = Decoder("unet", smp.Unet, _unet)
UPERNET = Decoder("upernet", smp.UPerNet, _upernet)
FIXED_UPERNET = Decoder("upernet", smp.UPerNet, _fixed_upernet)
SEGFORMER = Decoder("segformer", smp.Segformer, _segformer)

build_unet = partial(build, decoder=UNET)
build_unetplusplus = partial(
    build, decoder=Decoder("unetplusplus", smp.UnetPlusPlus, _unet, WITH_STRIDE_2)
)
build_manet = partial(build, decoder=Decoder("manet", smp.MAnet, _manet))
build_linknet = partial(build, decoder=Decoder("linknet", smp.Linknet, _linknet, WITH_STRIDE_2))
build_fpn = partial(build, decoder=Decoder("fpn", smp.FPN, _fpn))
build_pspnet = partial(build, decoder=Decoder("pspnet", smp.PSPNet, _pspnet, DILATED))
build_pan = partial(build, decoder=Decoder("pan", smp.PAN, _pan, DILATED))
build_deeplabv3 = partial(build, decoder=Decoder("deeplabv3", smp.DeepLabV3, _deeplab, DILATED))
build_deeplabv3plus = partial(
    build, decoder=Decoder("deeplabv3plus", smp.DeepLabV3Plus, _deeplab, DILATED)
)
build_upernet = partial(build, decoder=UPERNET)
build_segformer = partial(build, decoder=SEGFORMER)
build_dpt = partial(build, decoder=Decoder("dpt", smp.DPT, _dpt, TRANSFORMERS))
