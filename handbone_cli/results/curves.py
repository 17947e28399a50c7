"""Curves of a run as one SVG: loss, mean Dice with the worst bones, learning rate over epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.files import write_text
from handbone_cli.results.dataset_page import svg

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

WIDTH, LEFT, RIGHT = 880.0, 62.0, 640.0
HEADING, TOP, TALL, BOTTOM = 44.0, 40.0, 190.0, 46.0
"""Of the whole, above a chart, the chart, below it; px."""
WORST = 5
"""Bones that are drawn: those with the least Dice at the last validation."""
WIDE_RANGE = 30.0
"""Largest over least value from which an axis is logarithmic."""
MARK = "<!-- curves by handbone -->\n"
COLOURS = {
    "mean": ("#0b6bb0", "#5cb3f0"),
    "b0": ("#c2540a", "#f0964a"),
    "b1": ("#2e8540", "#6fcf85"),
    "b2": ("#a23b8f", "#e08fd0"),
    "b3": ("#8a6d00", "#e0c050"),
    "b4": ("#6b4fbb", "#b09cf5"),
}
"""On light and on dark paper."""
RULES = """
.best { stroke: var(--muted); stroke-width: 1; stroke-dasharray: 4 3 }
.curve { fill: none; stroke-width: 1.4; stroke-linejoin: round; stroke-linecap: round }
.mean { stroke: var(--mean); stroke-width: 2.4 }
.b0 { stroke: var(--b0) } .b1 { stroke: var(--b1) } .b2 { stroke: var(--b2) }
.b3 { stroke: var(--b3) } .b4 { stroke: var(--b4) }
.dot { stroke-width: 5; stroke-linecap: round }
"""


@dataclass(frozen=True)
class Curve:
    """A line of a chart.

    Attributes:
        name: is written beside it.
        look: its CSS class.
        values: at every epoch; nan where there is none.
        joined: whether it goes on over epochs without a value, as between validations.
    """

    name: str
    look: str
    values: Sequence[float]
    joined: bool = False


class Epochs(svg.Scale):
    """A scale that is labelled at whole numbers."""

    def ticks(self) -> list[float]:
        """Round whole values."""
        return [value for value in super().ticks() if value == round(value)]


class CurvesFile:
    """A tracker that draws a run's curves anew after every epoch.

    Args:
        path: the SVG.
        title: stands above.
        epochs: what was logged before, where a run is resumed.
    """

    def __init__(self, path: Path, title: str, epochs: Iterable[Mapping[str, Any]] = ()) -> None:
        self._path, self._title, self._epochs = path, title, [*epochs]

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """Add an epoch."""
        if event == "epoch":
            self._epochs.append(values)
            write_text(self._path, draw_curves(self._epochs, self._title))

    def close(self) -> None:
        """The file is whole after every epoch."""


def draw_curves(epochs: Iterable[Mapping[str, Any]], title: str) -> str:
    """Draw loss, Dice and learning rate, as far as they are known, one chart below the other.

    Args:
        epochs: what was logged of each: `epoch`, and `loss`, `mean_dice`, `dice` by bone, `lr`
            where there are any; None and nan are gaps. Where epochs come a second time (a run that
            was resumed from an older state) the first time is forgotten.
        title: stands above.

    Returns:
        A whole SVG document, light or dark as its reader is.

    Raises:
        ValueError: there is no epoch.
    """
    told = _last_told(epochs)
    if not told:
        raise ValueError("no epoch to draw")
    charts = [
        _chart("loss", told, [_curve(told, "loss")]),
        _chart("Dice of people left out", told, _dice_curves(told), best=True),
        _chart("learning rate", told, [_curve(told, "lr")]),
    ]
    drawn = [chart for chart in charts if chart]
    step = TOP + TALL + BOTTOM
    height = HEADING + step * len(drawn)
    last = told[-1]["epoch"]
    heading = f"{title}: {last} epoch{'s' if last > 1 else ''}"
    placed = [
        svg.tag("g", chart, transform=f"translate(0 {svg.number(HEADING + place * step)})")
        for place, chart in enumerate(drawn)
    ]
    return MARK + svg.tag(
        "svg",
        svg.style(RULES, **COLOURS),
        svg.text(LEFT, 28, heading, class_="heading"),
        *placed,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {svg.number(WIDTH)} {svg.number(height)}",
        width=WIDTH,
        height=height,
    )


def is_curves(head: bytes) -> bool:
    """Whether a file that begins so is one that `draw_curves` drew."""
    return head.startswith(MARK.encode())


def _last_told(epochs: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    told: list[Mapping[str, Any]] = []
    for each in epochs:
        while told and told[-1]["epoch"] >= each["epoch"]:
            told.pop()
        told.append(each)
    return told


def _number(value: object) -> float:
    known = isinstance(value, (int, float)) and math.isfinite(value)
    return float(value) if known else math.nan  # type: ignore[arg-type]


def _curve(told: Sequence[Mapping[str, Any]], key: str) -> Curve:
    return Curve(key, "mean", [_number(each.get(key)) for each in told])


def _dice_curves(told: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """The mean, and the bones that were worst at the last validation."""
    bones = [each.get("dice") or {} for each in told]
    last: Mapping[str, Any] = next((dice for dice in reversed(bones) if dice), {})
    worst = sorted(last, key=lambda bone: _number(last[bone]))[:WORST]
    lines = [
        Curve(bone, f"b{place}", [_number(dice.get(bone)) for dice in bones], joined=True)
        for place, bone in enumerate(worst)
    ]
    means = [_number(each.get("mean_dice")) for each in told]
    return [*lines, Curve("mean", "mean", means, joined=True)]


def _chart(
    caption: str, told: Sequence[Mapping[str, Any]], curves: Sequence[Curve], *, best: bool = False
) -> str:
    """A chart of curves with what they are beside it; '' where no value is known."""
    values = np.array([value for curve in curves for value in curve.values])
    known = values[np.isfinite(values)]
    if not known.size:
        return ""
    x = Epochs(*_span([float(each["epoch"]) for each in told]), LEFT, RIGHT)
    y = _value_scale(known, least=0.0 if best else -math.inf)
    parts = [
        svg.x_axis(x, TOP, TOP + TALL, "epoch"),
        svg.y_axis(y, LEFT, RIGHT, caption),
        *(_line(curve, x, y, told) for curve in curves),
    ]
    if best:
        parts.append(_best(curves[-1], x, told))
    if len(curves) > 1:
        parts += [_name(curve, place) for place, curve in enumerate([curves[-1], *curves[:-1]])]
    return "".join(parts)


def _span(epochs: Sequence[float]) -> tuple[float, float]:
    low, high = min(epochs), max(epochs)
    return (low, high) if high > low else (low - 1, high + 1)


def _value_scale(known: np.ndarray[Any, Any], least: float) -> svg.Scale:
    low, high = float(known.min()), float(known.max())
    start, end = TOP + TALL, TOP
    if low > 0 and high > WIDE_RANGE * low and least < 0:
        return svg.Scale(low / 1.15, high * 1.15, start, end, logarithmic=True)
    low, high = svg.padded(known)
    return svg.Scale(max(low, least), high, start, end)


def _line(curve: Curve, x: svg.Scale, y: svg.Scale, told: Sequence[Mapping[str, Any]]) -> str:
    """A path, broken at a gap unless the curve is joined; a value by itself is a dot."""
    parts: list[list[str]] = [[]]
    for each, value in zip(told, curve.values, strict=True):
        if math.isfinite(value):
            parts[-1].append(f"{x(each['epoch']):.1f} {y(value):.1f}")
        elif not curve.joined:
            parts.append([])
    lines = "".join("M" + "L".join(part) for part in parts if len(part) > 1)
    dots = "".join(f"M{part[0]}h0" for part in parts if len(part) == 1)
    drawn = ((lines, f"curve {curve.look}"), (dots, f"curve {curve.look} dot"))
    return "".join(svg.tag("path", class_=look, d=data) for data, look in drawn if data)


def _best(mean: Curve, x: svg.Scale, told: Sequence[Mapping[str, Any]]) -> str:
    values = np.array(mean.values)
    place = int(np.nanargmax(values))
    at = x(told[place]["epoch"])
    words = f"best mean {values[place]:.4f}, epoch {told[place]['epoch']}"
    line = svg.line(at, TOP, at, TOP + TALL, "best")
    return line + svg.text(RIGHT, TOP - 12, words, text_anchor="end")


def _name(curve: Curve, place: int) -> str:
    y = TOP + 10 + 20 * place
    last = next((v for v in reversed(curve.values) if math.isfinite(v)), math.nan)
    sample = svg.tag("path", class_=f"curve {curve.look}", d=f"M{RIGHT + 18} {y - 4}h22")
    shown = curve.name if len(curve.name) <= 20 else f"{curve.name[:18]}…"
    return sample + svg.text(RIGHT + 48, y, f"{shown} {last:.3f}")
