"""What a choice is worth: in-sample, on people left out, bone by bone; kept or refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.scores import clustered_error

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.decision.fitting import UnitFit


@dataclass(frozen=True)
class Gain:
    """How much better than uniform weights at one half, in mean Dice.

    Attributes:
        in_sample: of what the search found, on the people it was found on.
        searched: of the search alone, without shrinking, on people left out.
        left_out: of the whole procedure on people left out: cross-fitted.
        error: standard error of `left_out`, clustered by person.
    """

    in_sample: float
    searched: float
    left_out: float
    error: float

    @property
    def optimism(self) -> float:
        """What the search promises and does not keep."""
        return self.in_sample - self.searched

    @property
    def kept(self) -> bool:
        """Whether the gain on people left out is larger than its standard error."""
        return self.left_out > self.error


@dataclass(frozen=True)
class Appraisal:
    """The gains of a decision over C bones.

    Attributes:
        default: mean Dice of uniform weights at one half.
        overall: the mean over images and bones.
        bones: of every bone, in the order of the classes.
        changed: of every bone, whether the procedure moves it away from the default at all.
    """

    default: float
    overall: Gain
    bones: tuple[Gain, ...]
    changed: tuple[bool, ...]

    @property
    def kept(self) -> bool:
        """Whether anything is changed: by chance alone about one choice in six is."""
        return self.overall.kept

    @property
    def cross_fitted(self) -> float:
        """Mean Dice to expect of what was decided: on people left out if kept, else the default."""
        return self.default + (self.overall.left_out if self.kept else 0.0)

    def figures(self, class_names: Sequence[str]) -> dict[str, Any]:
        """What the decision file says."""
        return {
            "uniform": self.default,
            "in_sample": self.default + self.overall.in_sample,
            "cross_fitted": self.cross_fitted,
            "gain": self.overall.left_out,
            "gain_error": self.overall.error,
            "in_sample_gain": self.overall.in_sample,
            "searched_gain": self.overall.searched,
            "optimism": self.overall.optimism,
            "kept": self.kept,
            "bones": {
                name: {
                    "in_sample_gain": gain.in_sample,
                    "gain": gain.left_out,
                    "gain_error": gain.error,
                    "optimism": gain.optimism,
                    "kept": self.kept and changed,
                }
                for name, gain, changed in zip(class_names, self.bones, self.changed, strict=True)
            },
        }


def appraise(fits: Sequence[UnitFit], persons: Sequence[str]) -> Appraisal:
    """Judge the fits of all units together.

    Args:
        fits: of units that have every bone once.
        persons: (N,) whose image it is.
    """
    order = np.argsort([index for fit in fits for index in fit.indices])

    def joined(name: str) -> NDArray[np.float64]:
        return np.concatenate([getattr(fit, name) for fit in fits])[order]

    default = joined("default")
    gains = [joined(name) - default for name in ("in_sample", "raw_left_out", "left_out")]
    changed = [fit.strength < 1 for fit in fits for _ in fit.indices]
    return Appraisal(
        float(default.mean()),
        _gain([each.mean(axis=0) for each in gains], persons),
        tuple(_gain([each[bone] for each in gains], persons) for bone in range(len(default))),
        tuple(changed[place] for place in order),
    )


def _gain(parts: Sequence[NDArray[np.float64]], persons: Sequence[str]) -> Gain:
    in_sample, searched, left_out = (float(part.mean()) for part in parts)
    return Gain(in_sample, searched, left_out, clustered_error(parts[-1], list(persons)))
