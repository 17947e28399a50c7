"""Fully convolutional networks on dilated ResNets, of torchvision."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from timm.models import adapt_input_conv
from torch import nn
from torch.nn import functional
from torchvision.models import ResNet50_Weights, ResNet101_Weights
from torchvision.models.segmentation import fcn_resnet50, fcn_resnet101

from handbone_models.pretrained import explain_failure

if TYPE_CHECKING:
    from handbone_cli import ModelContext
    from handbone_models.fcn_options import FcnOptions

DIVISOR = 8
COLOURS = 3
"""Channels of the images that torchvision's backbones are made for."""


class FCN(nn.Module):
    """A backbone at stride 8 with a convolutional head, brought to the images' resolution.

    Long et al. 2015, arXiv:1411.4038. (N, in_channels, h, w) -> (N, classes, h, w), h and w
    multiples of 8 and over 8: one pixel of one image cannot be normalised. While training with an
    auxiliary head [logits, auxiliary], the latter at stride 8 and at half the weight, as
    torchvision trains it.

    Args:
        network: an FCN of torchvision.
    """

    minimum = DIVISOR + 1

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.head = network.classifier
        self.auxiliary = network.aux_classifier
        if self.auxiliary is not None:
            self.output_weights = (1.0, 0.5)

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Logits at the resolution of the images, and in training those of the auxiliary head."""
        features = self.backbone(images)
        logits = functional.interpolate(
            self.head(features["out"]), images.shape[-2:], mode="bilinear", align_corners=False
        )
        if self.auxiliary is None or not self.training:
            return logits
        return [logits, self.auxiliary(features["aux"])]


def build(
    options: FcnOptions, context: ModelContext, *, name: str, architecture: Any, weights: Any
) -> nn.Module:
    """FCN on ResNet-50 or ResNet-101.

    Raises:
        HandboneError: weights that cannot be downloaded.
    """
    with explain_failure(name, name.removeprefix("fcn_"), pretrained=options.pretrained):
        network = architecture(
            weights=None,
            weights_backbone=weights if options.pretrained else None,
            num_classes=context.classes,
            aux_loss=options.auxiliary,
        )
    _take_channels(network.backbone, context.in_channels, pretrained=options.pretrained)
    return FCN(network)


build_resnet50 = partial(
    build, name="fcn_resnet50", architecture=fcn_resnet50, weights=ResNet50_Weights.IMAGENET1K_V1
)
build_resnet101 = partial(
    build,
    name="fcn_resnet101",
    architecture=fcn_resnet101,
    weights=ResNet101_Weights.IMAGENET1K_V1,
)


def _take_channels(backbone: Any, channels: int, *, pretrained: bool) -> None:
    """Replace the first convolution by one of so many channels.

    ImageNet's filters are summed for grey images and repeated for others, as timm does: a grey
    image then looks to the network as it would in three equal channels.
    """
    if channels == COLOURS:
        return
    colours = backbone["conv1"]
    greys = nn.Conv2d(channels, colours.out_channels, 7, stride=2, padding=3, bias=False)
    if pretrained:
        greys.weight.data.copy_(adapt_input_conv(channels, colours.weight.data))
    else:
        nn.init.kaiming_normal_(greys.weight, mode="fan_out", nonlinearity="relu")
    backbone["conv1"] = greys
