"""Mirrored views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from handbone_cli import Options, TtaContext


@dataclass(frozen=True)
class Flip:
    """The image mirrored along one axis: -1 left to right, -2 top to bottom; exactly undone."""

    axis: int

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, h, w) -> the mirrored images, the same shape."""
        return images.flip(self.axis)

    def restore(
        self,
        maps: torch.Tensor,
        size: tuple[int, int],
    ) -> torch.Tensor:
        """(N, C, *size) maps of the view -> maps of the image."""
        return maps.flip(self.axis)


def build_hflip(options: Options, context: TtaContext) -> Flip:
    """Left to right; it has no options."""
    return Flip(-1)


def build_vflip(options: Options, context: TtaContext) -> Flip:
    """Top to bottom; it has no options."""
    return Flip(-2)
