"""What can be set in the compact U-Net; importable without torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt, model_validator

from handbone_cli import Options


class CompactUnetOptions(Options):
    """Options of compact_unet."""

    features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (16, 32, 48, 80, 128)
    """Channels from half the image's resolution down, each at half the one before."""


class CoarseToFineOptions(Options):
    """Options of coarse_to_fine."""

    coarse_size: PositiveInt = 256
    """Longer side of the film as the coarse pass sees it, px."""
    fine_size: PositiveInt = 512
    """Side of a hand's square as the fine pass sees it, px; a multiple of its divisor."""
    coarse_features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (16, 32, 48, 80, 128)
    """Channels of the coarse pass, as compact_unet's."""
    fine_features: Annotated[tuple[PositiveInt, ...], Field(min_length=2)] = (16, 32, 48, 80, 128)
    """Channels of the fine pass."""
    refuse: bool = True
    """Outline nothing where no hand is to be made out; with the 29 bones as classes alone."""

    @model_validator(mode="after")
    def _whole_pixels(self) -> CoarseToFineOptions:
        divisor = 2 ** len(self.fine_features)
        if self.fine_size % divisor:
            raise ValueError(f"fine_size must be a multiple of {divisor}, not {self.fine_size}")
        return self
