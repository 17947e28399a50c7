"""HRNetV2: timm's high-resolution backbone with the paper's segmentation head, or with OCR's."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import nn
from torch.nn import functional

from handbone_models.object_context import ObjectContextHead
from handbone_models.pretrained import explain_failure

if TYPE_CHECKING:
    from handbone_cli import ModelContext
    from handbone_models.hrnet_options import HrnetOptions

DIVISOR = 32
REGION_WEIGHT = 0.4


class HRNetV2(nn.Module):
    """Four branches at strides 4, 8, 16 and 32, joined at stride 4.

    Wang et al. 2020, arXiv:1908.07919. (N, in_channels, h, w) -> (N, classes, h, w), h and w
    multiples of 32 and over 32: one pixel of one image cannot be normalised.

    Args:
        backbone: images -> the four branches, finest first.
        channels: the sum of the branches' channels.
        classes: C.
    """

    minimum = DIVISOR + 1

    def __init__(self, backbone: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, classes, kernel_size=1),
        )

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits at the resolution of the images."""
        logits = self.head(_join(self.backbone(images)))
        return _resize(logits, images.shape[-2:])


class HRNetOCR(nn.Module):
    """HRNetV2 with the head of object-contextual representations.

    Yuan et al. 2020, arXiv:1909.11065. Shapes as in HRNetV2; while training [logits, regions], the
    auxiliary logits of the regions at stride 4 and at 0.4 of the loss.

    Args:
        backbone: images -> the four branches, finest first.
        channels: the sum of the branches' channels.
        classes: C.
    """

    minimum = DIVISOR + 1
    output_weights = (1.0, REGION_WEIGHT)

    def __init__(self, backbone: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = ObjectContextHead(channels, classes)
        # The regions of all images are normalised together, and one region alone cannot be.
        self.minimum_batch = 2 if classes == 1 else 1

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits at the resolution of the images, and in training those of the regions."""
        logits, regions = self.head(_join(self.backbone(images)))
        logits = _resize(logits, images.shape[-2:])
        return [logits, regions] if self.training else logits


def build(
    options: HrnetOptions, context: ModelContext, *, name: str, network: Any, width: int
) -> nn.Module:
    """HRNetV2 or HRNetOCR of a width, the channels of the branch at stride 4.

    Raises:
        HandboneError: weights that cannot be downloaded.
    """
    with explain_failure(name, f"hrnet_w{width}", pretrained=options.pretrained):
        # Without a feature location timm gives the branches themselves (C, 2C, 4C, 8C); index 0,
        # the stem at stride 2, is left out.
        backbone = timm.create_model(
            f"hrnet_w{width}",
            pretrained=options.pretrained,
            features_only=True,
            feature_location="",
            out_indices=(1, 2, 3, 4),
            in_chans=context.in_channels,
        )
    model: nn.Module = network(backbone, sum(backbone.feature_info.channels()), context.classes)
    return model


build_w18 = partial(build, name="hrnet_w18", network=HRNetV2, width=18)
build_w32 = partial(build, name="hrnet_w32", network=HRNetV2, width=32)
build_w48 = partial(build, name="hrnet_w48", network=HRNetV2, width=48)
build_ocr_w18 = partial(build, name="hrnet_ocr_w18", network=HRNetOCR, width=18)
build_ocr_w32 = partial(build, name="hrnet_ocr_w32", network=HRNetOCR, width=32)
build_ocr_w48 = partial(build, name="hrnet_ocr_w48", network=HRNetOCR, width=48)


def _join(branches: list[torch.Tensor]) -> torch.Tensor:
    """The branches at the resolution of the finest, one after another."""
    finest, *coarser = branches
    size = finest.shape[-2:]
    return torch.cat([finest, *(_resize(branch, size) for branch in coarser)], 1)


def _resize(maps: torch.Tensor, size: torch.Size) -> torch.Tensor:
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
