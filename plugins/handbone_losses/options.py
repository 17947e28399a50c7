"""What can be set in each loss; importable without torch, so that recipes are checked at once."""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic import ConfigDict, Field, field_validator

from handbone_cli import Options


class DiceOptions(Options):
    """Options of dice."""

    batch: bool = True
    """Count pixels over the whole batch before the ratio, as nnU-Net's batch Dice does."""
    smooth: float = Field(1.0, gt=0, allow_inf_nan=False)
    """Pixels added to both sides of the ratio; defines the Dice of two empty masks as 1."""


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
