"""What every window weight must do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.host.interfaces import WindowContext
from handbone_cli.testing.conformance.requirements import require, run_all

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from handbone_cli.testing.trial import Trial

SIDES = (32, 33, 256)


@dataclass(frozen=True, eq=False)
class TriedWeight:
    """A window weight: what its builder gives for a side."""

    of: Callable[[int], NDArray[Any]]


def shape(tried: TriedWeight) -> None:
    """It gives float32 of the window's shape, for even and odd sides."""
    for side in SIDES:
        made = tried.of(side)
        require(isinstance(made, np.ndarray), f"it gives {type(made).__name__}, not an array")
        require(made.dtype == np.float32, f"the weights are {made.dtype}, not float32")
        require(made.shape == (side, side), f"a window of {side} px got {made.shape} weights")


def positive(tried: TriedWeight) -> None:
    """Every weight is finite and above 0: a pixel at the image's corner has one window alone."""
    for side in SIDES:
        made = tried.of(side)
        require(bool(np.isfinite(made).all()), f"weights for {side} px are not finite")
        require(
            float(made.min()) > 0, f"the least weight for {side} px is {made.min()}, not above 0"
        )
        span = float(made.max()) / float(made.min())
        require(span <= 1e9, f"weights for {side} px span {span:.0e}, more than float32 can divide")


def repeats(tried: TriedWeight) -> None:
    """The same side gives the same weights: a store depends on nothing else."""
    require(np.array_equal(tried.of(33), tried.of(33)), "two calls gave different weights")


CHECKS = (shape, positive, repeats)


def prepare(trial: Trial) -> TriedWeight:
    """A registered window weight with its example options."""
    return TriedWeight(lambda side: trial.build(WindowContext(side)))


def check_window(of: Callable[[int], NDArray[Any]]) -> None:
    """A window weight does all it must (handbone_cli.testing.conformance.windows.CHECKS).

    Args:
        of: what the builder gives for a side in pixels.

    Raises:
        AssertionError: what is wrong, in a sentence.
    """
    run_all(CHECKS, TriedWeight(of))
