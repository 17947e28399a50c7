"""Views turned by a small angle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import AfterValidator, Field

from handbone_cli import Options

if TYPE_CHECKING:
    import torch

    from handbone_cli import TtaContext


def _not_the_image(degrees: float) -> float:
    if degrees == 0:
        raise ValueError("0 is the image itself, which is averaged anyway; expected an angle")
    return degrees


class RotateOptions(Options):
    """Options of rotate."""

    degrees: Annotated[float, Field(ge=-45, le=45), AfterValidator(_not_the_image)]
    """Angle, counter-clockwise; negative: clockwise."""


@dataclass(frozen=True)
class Rotate:
    """The image turned about its middle, both ways bilinearly; no pixel of it is lost.

    The view grows until it holds the whole image, so that every pixel has a probability from it
    and none is averaged as zero. Its corners, which the image does not reach, are filled by
    reflection, as windows and models are padded; what is predicted there is not read.
    """

    degrees: float
    exact: ClassVar[bool] = False
    mirrored: ClassVar[bool] = False

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, h, w) -> (N, in_channels, h', w') with h cos a + w sin a <= h'."""
        height, width = images.shape[-2:]
        cos, sin = math.cos(self._angle), abs(math.sin(self._angle))
        size = (math.ceil(height * cos + width * sin), math.ceil(width * cos + height * sin))
        return _turn(images, size, self._angle)

    def restore(self, maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Maps of the view (N, C, h', w') -> maps of the image, (N, C, *size)."""
        return _turn(maps, size, -self._angle)

    @property
    def _angle(self) -> float:
        return math.radians(self.degrees)


def build(options: RotateOptions, context: TtaContext) -> Rotate:
    """Turning with the options of a recipe."""
    return Rotate(options.degrees)


def _turn(maps: torch.Tensor, size: tuple[int, int], angle: float) -> torch.Tensor:
    """(N, C, h, w) turned counter-clockwise about the middle into (N, C, *size)."""
    import torch
    from torch.nn.functional import grid_sample

    # Places in half precision would be off by whole pixels.
    exact = maps if maps.dtype == torch.float64 else maps.float()
    y, x = (
        torch.arange(length, dtype=exact.dtype, device=maps.device) - (length - 1) / 2
        for length in size
    )
    cos, sin = math.cos(angle), math.sin(angle)
    height, width = maps.shape[-2:]
    across = (cos * x[None, :] - sin * y[:, None]) * (2 / width)
    down = (sin * x[None, :] + cos * y[:, None]) * (2 / height)
    grid = torch.stack([across, down], dim=-1).expand(len(maps), -1, -1, -1)
    turned = grid_sample(exact, grid, "bilinear", padding_mode="reflection", align_corners=False)
    return turned.to(maps.dtype)
