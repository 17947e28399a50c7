"""The head of object-contextual representations: each pixel learns from the regions of objects."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


class ObjectContextHead(nn.Module):
    """Soft object regions, their representations, and attention of pixels to them.

    Yuan et al. 2020, arXiv:1909.11065, with the layers of the authors' code. The softmax of a
    region is over the pixels, class by class, so overlapping objects are regions like any others.
    Attention is of pixels to classes: (N, h w, C) numbers, never (N, h w, h w).

    Args:
        channels: of the features.
        classes: C.
        middle: channels of pixel and region representations.
        keys: channels in which they are compared.
        dropout: chance that a channel is left out, before the classifier.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        *,
        middle: int = 512,
        keys: int = 256,
        dropout: float = 0.05,
    ) -> None:
        super().__init__()
        self.regions = nn.Sequential(
            *_normalised(nn.Conv2d(channels, channels, kernel_size=1)),
            nn.Conv2d(channels, classes, kernel_size=1),
        )
        self.pixels = nn.Sequential(
            *_normalised(nn.Conv2d(channels, middle, kernel_size=3, padding=1))
        )
        self.query = _transform(middle, keys, keys)
        self.key = _transform(middle, keys, keys)
        self.value = _transform(middle, keys)
        self.context = _transform(keys, middle)
        self.fuse = nn.Sequential(_transform(2 * middle, middle), nn.Dropout2d(dropout))
        self.classify = nn.Conv2d(middle, classes, kernel_size=1)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(N, channels, h, w) -> logits and the auxiliary logits of the regions, (N, C, h, w)."""
        auxiliary = self.regions(features)
        pixels = self.pixels(features)
        regions = gather(pixels, auxiliary)
        context = attend(self.query(pixels), self.key(regions), self.value(regions))
        logits = self.classify(self.fuse(torch.cat((self.context(context), pixels), 1)))
        return logits, auxiliary


def gather(pixels: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Represent each region by its pixels: (N, c, h, w), (N, C, h, w) -> (N, c, C, 1)."""
    shares = logits.flatten(2).softmax(dim=2)
    return torch.bmm(pixels.flatten(2), shares.transpose(1, 2)).unsqueeze(3)


def attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    """Give each pixel a mean of the regions' values, by likeness of its query to their keys.

    (N, k, h, w), (N, k, C, 1), (N, k, C, 1) -> (N, k, h, w).
    """
    likeness = torch.bmm(query.flatten(2).transpose(1, 2), key.flatten(2))
    weights = (likeness * query.shape[1] ** -0.5).softmax(dim=2)
    return torch.bmm(value.flatten(2), weights.transpose(1, 2)).view_as(query)


def _transform(*channels: int) -> nn.Sequential:
    """1x1 convolutions through these numbers of channels, each normalised and rectified."""
    layers = [
        layer
        for given, made in pairwise(channels)
        for layer in _normalised(nn.Conv2d(given, made, kernel_size=1, bias=False))
    ]
    return nn.Sequential(*layers)


def _normalised(convolution: nn.Conv2d) -> tuple[nn.Module, ...]:
    return convolution, nn.BatchNorm2d(convolution.out_channels), nn.ReLU(inplace=True)
