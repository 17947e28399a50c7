"""Resized views."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from handbone_cli import Options

if TYPE_CHECKING:
    import torch

    from handbone_cli import TtaContext

Factor = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _not_the_image(factor: float) -> float:
    if factor == 1:
        raise ValueError("1 is the image itself, which is averaged anyway; leave it out")
    return factor


class ScaleOptions(Options):
    """Options of scale."""

    factor: Factor
    """Size of the view over size of the image; 0.75 shows the model a smaller hand."""


class MultiScaleOptions(Options):
    """Options of multi_scale."""

    factors: tuple[Annotated[Factor, AfterValidator(_not_the_image)], ...] = Field(
        (0.75, 1.25), min_length=1
    )
    """Sizes of the views over the size of the image, without 1, which is the image itself."""


@dataclass(frozen=True)
class Scale:
    """The image resized bilinearly by `factor`; undone up to the detail a smaller view loses."""

    factor: float
    exact: ClassVar[bool] = False
    mirrored: ClassVar[bool] = False

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


def build_multi_scale(options: MultiScaleOptions, context: TtaContext) -> list[Scale]:
    """A resized view for every factor of a recipe."""
    return [Scale(factor) for factor in options.factors]


def _resize(maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    from torch.nn.functional import interpolate

    return interpolate(maps, size=size, mode="bilinear", align_corners=False)
