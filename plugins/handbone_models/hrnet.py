"""HRNetV2: timm's high-resolution backbone with the paper's segmentation head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import timm
import torch
from torch import nn
from torch.nn import functional

from handbone_models.pretrained import explain_failure

if TYPE_CHECKING:
    from handbone_cli import ModelContext
    from handbone_models.options import HrnetOptions


class HRNetV2(nn.Module):
    """Four branches at strides 4, 8, 16 and 32, joined at stride 4.

    Wang et al. 2020, arXiv:1908.07919. (N, in_channels, h, w) -> (N, classes, h, w), h and w
    multiples of 32.

    Args:
        backbone: images -> the four branches, finest first.
        channels: the sum of the branches' channels.
        classes: C.
    """

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
        finest, *coarser = self.backbone(images)
        size = finest.shape[-2:]
        logits = self.head(torch.cat([finest, *(_resize(branch, size) for branch in coarser)], 1))
        return _resize(logits, images.shape[-2:])


def build(options: HrnetOptions, context: ModelContext) -> nn.Module:
    """HRNetV2-W18, W32 or W48.

    Raises:
        HandboneError: weights that cannot be downloaded.
    """
    name = f"hrnet_w{options.width}"
    with explain_failure("hrnet", name, pretrained=options.pretrained):
        # Without a feature location timm gives the branches themselves (C, 2C, 4C, 8C); index 0,
        # the stem at stride 2, is left out.
        backbone = timm.create_model(
            name,
            pretrained=options.pretrained,
            features_only=True,
            feature_location="",
            out_indices=(1, 2, 3, 4),
            in_chans=context.in_channels,
        )
    return HRNetV2(backbone, sum(backbone.feature_info.channels()), context.classes)


def _resize(maps: torch.Tensor, size: torch.Size) -> torch.Tensor:
    return functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)
