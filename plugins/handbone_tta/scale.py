"""Resized views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from handbone_cli import Options

if TYPE_CHECKING:
    import torch

    from handbone_cli import TtaContext


class ScaleOptions(Options):
    """Options of scale."""

    factor: float = Field(gt=0, allow_inf_nan=False)
    """Size of the view over size of the image; 0.75 shows the model a smaller hand."""


@dataclass(frozen=True)
class Scale:
    """The image resized bilinearly by `factor`; undone up to the detail a smaller view loses."""

    factor: float

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, h, w) -> (N, in_channels, h', w'), rounded, at least 1 px each."""
        height, width = (max(1, round(self.factor * length)) for length in images.shape[-2:])
        return _resize(images, (height, width))

    def restore(self, maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Maps of the view (N, C, h', w') -> maps of the image, (N, C, *size)."""
        return _resize(maps, size)


def build(options: ScaleOptions, context: TtaContext) -> Scale:
    """Resizing with the options of a recipe."""
    return Scale(options.factor)


def _resize(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    from torch.nn.functional import interpolate

    return interpolate(maps, size=size, mode="bilinear", align_corners=False)
