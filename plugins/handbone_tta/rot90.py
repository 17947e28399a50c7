"""Views turned by quarter turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from handbone_cli import Options

if TYPE_CHECKING:
    import torch

    from handbone_cli import TtaContext


class Rot90Options(Options):
    """Options of rot90."""

    turns: Literal[1, 2, 3] = 1
    """Quarter turns, counter-clockwise."""


@dataclass(frozen=True)
class Rot90:
    """The image turned counter-clockwise by `turns` quarter turns; exactly undone."""

    turns: int

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, h, w) -> (N, in_channels, w, h) for odd turns, else the same shape."""
        return images.rot90(self.turns, (-2, -1))

    def restore(
        self,
        maps: torch.Tensor,
        size: tuple[int, int],
    ) -> torch.Tensor:
        """Maps of the view -> maps of the image, (N, C, *size)."""
        return maps.rot90(-self.turns, (-2, -1))


def build(options: Rot90Options, context: TtaContext) -> Rot90:
    """Quarter turns with the options of a recipe."""
    return Rot90(options.turns)
