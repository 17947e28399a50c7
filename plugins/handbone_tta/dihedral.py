"""The eight ways to lay a rectangle on itself (the dihedral group D4): flips and quarter turns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from handbone_cli import Options

if TYPE_CHECKING:
    import torch

    from handbone_cli import TtaContext

HORIZONTAL, VERTICAL = -1, -2


class Rot90Options(Options):
    """Options of rot90."""

    turns: Literal[1, 2, 3] = 1
    """Quarter turns, counter-clockwise."""


@dataclass(frozen=True)
class Dihedral:
    """The image mirrored along `axes`, then, if `transposed`, rows for columns; exactly undone.

    Pixels only move, so that maps come back to the bit at any size. Each of the eight is one value
    of (axes, transposed): equal views are equal.
    """

    axes: tuple[int, ...] = ()
    transposed: bool = False
    exact: ClassVar[bool] = True

    @property
    def mirrored(self) -> bool:
        """Whether it makes a left hand a right one; every axis and the diagonal does once."""
        return (len(self.axes) + self.transposed) % 2 == 1

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, h, w) -> the view, (N, in_channels, w, h) if transposed."""
        flipped = images.flip(self.axes)
        # Contiguous, since a network of a plugin may look at its input with .view().
        return flipped.transpose(-2, -1).contiguous() if self.transposed else flipped

    def restore(self, maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Maps of the view -> maps of the image, (N, C, *size)."""
        return (maps.transpose(-2, -1) if self.transposed else maps).flip(self.axes)


HFLIP, VFLIP = Dihedral((HORIZONTAL,)), Dihedral((VERTICAL,))
ROT90 = Dihedral((HORIZONTAL,), transposed=True)
ROT180 = Dihedral((VERTICAL, HORIZONTAL))
ROT270 = Dihedral((VERTICAL,), transposed=True)
DIAGONALS = (Dihedral((), transposed=True), Dihedral((VERTICAL, HORIZONTAL), transposed=True))


def build_hflip(options: Options, context: TtaContext) -> Dihedral:
    """Mirrored left to right; it has no options."""
    return HFLIP


def build_vflip(options: Options, context: TtaContext) -> Dihedral:
    """Mirrored top to bottom; it has no options."""
    return VFLIP


def build_rot90(options: Rot90Options, context: TtaContext) -> Dihedral:
    """One, two or three quarter turns counter-clockwise."""
    return (ROT90, ROT180, ROT270)[options.turns - 1]


def build_rot180(options: Options, context: TtaContext) -> Dihedral:
    """Half a turn, the same view as rot90 with two turns; it has no options."""
    return ROT180


def build_rot270(options: Options, context: TtaContext) -> Dihedral:
    """A quarter turn clockwise, the same view as rot90 with three turns; it has no options."""
    return ROT270


def build_flip(options: Options, context: TtaContext) -> list[Dihedral]:
    """The mirrored views and both mirrors at once; it has no options."""
    return [HFLIP, VFLIP, ROT180]


def build_flip_rotate(options: Options, context: TtaContext) -> list[Dihedral]:
    """All eight but the image itself; it has no options."""
    return [HFLIP, VFLIP, ROT90, ROT180, ROT270, *DIAGONALS]
