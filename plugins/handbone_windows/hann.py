"""Hann's raised cosine, as Pielawski and Waehlby (2020) blend overlapping patches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from handbone_cli import Options

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli import WindowContext


class HannOptions(Options):
    """What a recipe can set beside the name."""

    power: float = Field(1.0, gt=0, le=8, description="above 1: more weight in the middle")


def build(options: HannOptions, context: WindowContext) -> NDArray[np.float32]:
    """sin^2 of the distance from the border along both axes; pixels' centres never weigh 0."""
    place = (np.arange(context.side) + 0.5) / context.side
    line = np.sin(np.pi * place) ** (2 * options.power)
    return np.outer(line, line).astype(np.float32).clip(1e-6)
