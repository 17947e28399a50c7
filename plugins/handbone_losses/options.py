"""What can be set in each loss; importable without torch, so that recipes are checked at once."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from handbone_cli import Options


class RegionOptions(Options):
    """Options of every loss of regions."""

    batch: bool = True
    """Count pixels over the whole batch before the ratio, as nnU-Net's batch Dice does."""
    smooth: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Pixels added to both sides of the ratio; two empty masks are then equal."""


class DiceOptions(RegionOptions):
    """Options of dice."""


class GeneralizedDiceOptions(RegionOptions):
    """Options of generalized_dice."""

    class_weight: Literal["square", "simple", "uniform"] = "square"
    """Of a class of T pixels: 1 / T^2, 1 / T or 1. `smooth` is in pixels of the smallest class."""


class JaccardOptions(RegionOptions):
    """Options of jaccard."""


class TverskyOptions(RegionOptions):
    """Options of tversky."""

    alpha: float = Field(0.3, ge=0, allow_inf_nan=False)
    """Price of a pixel too many; with alpha = beta = 0.5 it is Dice."""
    beta: float = Field(0.7, ge=0, allow_inf_nan=False)
    """Price of a pixel missing."""

    @model_validator(mode="after")
    def _something_costs(self) -> TverskyOptions:
        if self.alpha == self.beta == 0:
            raise ValueError("alpha and beta are both 0, so that nothing costs anything")
        return self


class FocalTverskyOptions(TverskyOptions):
    """Options of focal_tversky."""

    gamma: float = Field(4 / 3, gt=0, allow_inf_nan=False)
    """The 1/gamma-th power of each class's loss; over 1, looks at classes not yet right."""


class LovaszOptions(Options):
    """Options of lovasz."""

    batch: bool = True
    """Sort a class's pixels of the whole batch together, otherwise image by image."""


class BoundaryOptions(Options):
    """Options of boundary."""

    reach: int = Field(32, ge=1)
    """Pixels from the border beyond which all distances are alike."""


class PixelWeightedBCEOptions(Options):
    """Options of pixel_weighted_bce."""

    border: float = Field(10.0, ge=0, allow_inf_nan=False)
    """Weight added at a bone's border."""
    sigma: float = Field(5.0, gt=0, le=100)
    """Pixels over which it falls (an SD)."""
    most: float = Field(10.0, ge=1, allow_inf_nan=False)
    """What balance makes a pixel of bone weigh at most; background weighs about a half."""


class OverlapOptions(Options):
    """Options of overlap."""

    confidence: float = Field(0.7, gt=0, le=1)
    """Probability that both bones should reach where they overlap."""
    least_area: float = Field(900.0, ge=0, allow_inf_nan=False)
    """Pairs count that overlap by so many pixels of an image of 2048 px, on the data's average."""
    least_pixels: int = Field(10, ge=0)
    """A pair that overlaps in a batch on no more pixels than these costs nothing."""
    pairs: tuple[tuple[str, str], ...] = ()
    """The pairs by name; without any, those of the data."""


class FocalOptions(Options):
    """Options of focal."""

    alpha: float = Field(0.5, ge=0, le=1)
    """Weight of bone pixels; the others weigh 1 - alpha."""
    gamma: float = Field(2.0, ge=0, allow_inf_nan=False)
    """How fast the weight of a pixel falls as its probability becomes right."""


class Term(Options):
    """One loss of a combination; keys other than these two are that loss's own options."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str
    """The loss."""
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)
    """What it is multiplied by."""

    def options(self) -> dict[str, Any]:
        """The options of the named loss."""
        return dict(self.model_extra or {})


class CombinedOptions(Options):
    """Options of combined."""

    terms: tuple[Term, ...]
    """Losses with weights and options: `[{ name = "dice", weight = 0.6, smooth = 10 }, ...]`."""

    @field_validator("terms")
    @classmethod
    def _at_least_one_each_once(cls, terms: tuple[Term, ...]) -> tuple[Term, ...]:
        if not terms:
            raise ValueError("a combination needs at least one loss")
        twice = [name for name, count in Counter(t.name for t in terms).items() if count > 1]
        if twice:
            raise ValueError(f"'{twice[0]}' is named twice, give it one weight")
        return terms
