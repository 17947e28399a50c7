"""Which metrics are asked for: their names, their units, and what they are measured with."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from handbone_cli.errors import HandboneError, closest

BorderKind: TypeAlias = Literal["pixels", "contour"]
Unit: TypeAlias = Literal["px", "mm"]

SHARES: tuple[str, ...] = ("dice", "iou", "boundary_iou", "nsd")
"""From 0 to 1, the more the better."""
DISTANCES: tuple[str, ...] = ("hd", "hd95", "assd", "centroid")
"""In pixels or millimetres, the less the better; endless where one of two masks is empty."""
OF_BORDERS: tuple[str, ...] = ("nsd", "hd", "hd95", "assd")
"""Made of the distances between two borders."""
RATES: tuple[str, ...] = ("missing", "extra")
"""Of bones that are in the labels or not."""
PAIR_METRIC = "overlap_dice"
"""Of two bones, not of one."""
METRICS = (*SHARES, *DISTANCES, *RATES, PAIR_METRIC)
DEFAULT = ("dice", "hd95", "nsd")
TOLERANCES = (2.0,)
BOUNDARY = 0.005
"""Of the image's diagonal: 14 px at 2048 x 2048. The 0.02 that Cheng et al. take for photographs
would be 58 px, and so nearly all of a carpal bone."""


class Column(NamedTuple):
    """A metric with all that its figures depend on.

    Attributes:
        metric: its name.
        unit: 'px', 'mm' or ''.
        tolerance: of nsd, in that unit.
    """

    metric: str
    unit: str = ""
    tolerance: float | None = None

    @property
    def heading(self) -> str:
        """What tables call it: 'nsd@2px', 'hd95 mm'."""
        if self.tolerance is not None:
            return f"{self.metric}@{self.tolerance:g}{self.unit}"
        return f"{self.metric} {self.unit}".strip()


@dataclass(frozen=True)
class Plan:
    """What is measured of every bone.

    Attributes:
        metrics: names out of `METRICS`, each once.
        tolerances: of nsd, ascending.
        unit: of distances and tolerances.
        borders: 'pixels' counts edge pixels, as MONAI does; 'contour' weighs the elements of the
            contour by their length, as DeepMind's surface-distance does.
        boundary: width for boundary_iou, as a share of the image's diagonal.
    """

    metrics: tuple[str, ...] = DEFAULT
    tolerances: tuple[float, ...] = TOLERANCES
    unit: Unit = "px"
    borders: BorderKind = "pixels"
    boundary: float = BOUNDARY

    @property
    def columns(self) -> tuple[Column, ...]:
        """What comes of every bone, in order; nothing of what two bones share."""
        found: list[Column] = []
        for name in self.metrics:
            if name == "nsd":
                found += [Column(name, self.unit, tolerance) for tolerance in self.tolerances]
            elif name != PAIR_METRIC:
                found.append(Column(name, self.unit if name in DISTANCES else ""))
        return tuple(found)

    @property
    def has_pairs(self) -> bool:
        """Whether the overlaps of two bones are asked for."""
        return PAIR_METRIC in self.metrics


def parse_metrics(text: str) -> tuple[str, ...]:
    """Names from 'dice,hd95'; 'all' is all of them.

    Raises:
        HandboneError: an unknown name, or none.
    """
    names = tuple(dict.fromkeys(each.strip() for each in text.split(",") if each.strip()))
    if names == ("all",):
        return METRICS
    for name in names:
        if name not in METRICS:
            raise HandboneError(
                f"--metrics: no metric is called '{name}'. {closest(name, METRICS)}"
            )
    if not names:
        raise HandboneError(f"--metrics: names none; there are {', '.join(METRICS)}.")
    return names


def parse_numbers(text: str, option: str) -> tuple[float, ...]:
    """Numbers from '1,2.5'.

    Raises:
        HandboneError: something else; the message names the option.
    """
    try:
        numbers = tuple(float(each) for each in text.split(","))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 <= each < math.inf for each in numbers):
        raise HandboneError(f"{option} {text}: expected a number from 0 on, or several like 1,2.5.")
    return numbers


def parse_spacing(text: str) -> tuple[float, float]:
    """Millimetres from row to row and from column to column, out of '0.1' or '0.1,0.12'.

    Raises:
        HandboneError: something else.
    """
    numbers = parse_numbers(text, "--spacing")
    if len(numbers) > 2 or not all(numbers):
        raise HandboneError(
            f"--spacing {text}: expected the millimetres of a pixel, like 0.1, or of its height "
            "and width, like 0.1,0.12."
        )
    return numbers[0], numbers[-1]
