"""The metric that two sets of masks are compared by, from `hb compare`'s options."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.errors import HandboneError, closest
from handbone_cli.metrics.plan import (
    DISTANCES,
    METRICS,
    OF_BORDERS,
    PAIR_METRIC,
    SHARES,
    TOLERANCES,
    Plan,
    parse_numbers,
    parse_spacing,
)
from handbone_cli.results.compare import DICE, Metric

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask

NAMES = tuple(name for name in METRICS if name != PAIR_METRIC)


def compared_metric(name: str, tolerance: str | None, spacing: str | None) -> Metric:
    """A metric of one bone by its name; a bone in one of two masks is the diagonal away.

    Args:
        name: of `hb evaluate --metrics`.
        tolerance: of nsd, as it was typed.
        spacing: millimetres of a pixel, as they were typed; None: distances are in pixels.

    Raises:
        HandboneError: an unknown name, or an option that nothing depends on.
    """
    if name not in NAMES:
        raise HandboneError(f"--metric: no metric is called '{name}'. {closest(name, NAMES)}")
    if tolerance is not None and name != "nsd":
        raise HandboneError(f"--tolerance goes with nsd; --metric is {name}.")
    if spacing is not None and name not in {*DISTANCES, *OF_BORDERS}:
        raise HandboneError(f"--spacing goes with distances and nsd; --metric is {name}.")
    if name == "dice":
        return DICE
    tolerances = parse_numbers(tolerance, "--tolerance") if tolerance else TOLERANCES
    if len(tolerances) > 1:
        raise HandboneError(f"--tolerance {tolerance}: masks are compared by one; name one.")
    plan = Plan((name,), tolerances, "px" if spacing is None else "mm")
    pixel = (1.0, 1.0) if spacing is None else parse_spacing(spacing)
    (column,) = plan.columns
    score = functools.partial(_score, plan, pixel)
    return Metric(column.heading, score, higher_is_better=name in SHARES)


def _score(
    plan: Plan, spacing: tuple[float, float], mask: PackedMask, truth: PackedMask
) -> NDArray[np.float64]:
    """(C,) the metric of every bone; endless distances are the image's diagonal."""
    from handbone_cli.metrics.bones import measure

    values = measure(mask, truth, plan, spacing)[:, 0]
    values[np.isinf(values)] = np.hypot(mask.size[0] * spacing[0], mask.size[1] * spacing[1])
    return values
