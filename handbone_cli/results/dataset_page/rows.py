"""Charts of one row a bone: box plots, and estimates with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.anatomy.hand import CARPALS, FINGERS, FOREARM
from handbone_cli.results.dataset_page.svg import (
    Scale,
    dots,
    label_width,
    line,
    number,
    picture,
    tag,
    text,
    title,
    x_axis,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

WIDTH, ROW, GAP, TOP, FOOT = 660.0, 19.0, 9.0, 8.0, 46.0
NARROW = 510.0  # where the axis of estimates ends
BOX = 12.0  # its height
GROUPS = {
    bone: group
    for group, bones in {**FINGERS, "carpals": CARPALS, "forearm": FOREARM}.items()
    for bone in bones
}


@dataclass(frozen=True)
class Rows:
    """Where the rows of some names stand: a gap before every other finger or group."""

    names: Sequence[str]

    @property
    def left(self) -> float:
        """Where names end and the chart begins."""
        groups = {GROUPS[name] for name in self.names if name in GROUPS}
        return label_width(self.names) + (label_width(sorted(groups)) if groups else 0)

    @property
    def middles(self) -> list[float]:
        """The height of every row's middle."""
        found, y, before = [], TOP - ROW / 2, GROUPS.get(self.names[0]) if self.names else None
        for name in self.names:
            group = GROUPS.get(name)
            y += ROW + (GAP if group != before else 0)
            before = group
            found.append(y)
        return found

    @property
    def bottom(self) -> float:
        """The foot of the last row."""
        return (self.middles or [TOP])[-1] + ROW / 2

    def labels(self) -> str:
        """The names before their rows; a group's before its first."""
        parts, before = [], ""
        for name, y in zip(self.names, self.middles, strict=True):
            group = GROUPS.get(name, "")
            parts.append(text(self.left - 10, y + 4, name, text_anchor="end"))
            if group not in {"", before}:
                parts.append(text(2, y + 4, group, class_="tick"))
            before = group
        return "".join(parts)


def box_plots(
    names: Sequence[str],
    columns: Sequence[NDArray[np.float64]],
    colours: Sequence[str],
    caption: str,
    tell: Callable[[int], str],
) -> str:
    """A box a row on a logarithmic axis: quartiles, 1.5 times their distance, dots beyond.

    Args:
        names: of the rows.
        columns: the positive values of every row; a row may have none.
        colours: CSS colours of the boxes.
        caption: of the axis.
        tell: row -> what a pointer resting on it is told.
    """
    rows = Rows(names)
    every = np.concatenate([*columns, np.zeros(0)])
    low, high = (float(every.min()), float(every.max())) if every.size else (1.0, 10.0)
    scale = Scale(low / 1.15, high * 1.15, rows.left, WIDTH - 14, logarithmic=True)
    boxes = [
        tag("g", title(tell(place)), _box(column, colours[place], y, scale))
        for place, (column, y) in enumerate(zip(columns, rows.middles, strict=True))
        if column.size
    ]
    axis = x_axis(scale, TOP, rows.bottom, caption)
    return picture(WIDTH, rows.bottom + FOOT, caption, axis, rows.labels(), *boxes)


def _box(values: NDArray[np.float64], colour: str, y: float, scale: Scale) -> str:
    lower, median, upper = (float(q) for q in np.percentile(values, (25, 50, 75)))
    reach = 1.5 * (upper - lower)
    inside = values[(values >= lower - reach) & (values <= upper + reach)]
    beyond = values[(values < lower - reach) | (values > upper + reach)]
    places = [scale(float(v)) for v in (inside.min(), lower, median, upper, inside.max())]
    top, bottom = y - BOX / 2, y + BOX / 2
    parts = [
        line(places[0], y, places[1], y, "whisker"),
        line(places[3], y, places[4], y, "whisker"),
        tag(
            "rect",
            class_="box",
            style=f"fill:{colour}",
            x=places[1],
            y=top,
            width=max(places[3] - places[1], 1.0),
            height=BOX,
        ),
        line(places[2], top, places[2], bottom, "median"),
    ]
    if beyond.size:
        points = np.array([(scale(float(value)), y) for value in np.unique(beyond)])
        parts.append(tag("path", class_="beyond", d=dots(points)))
    return "".join(parts)


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval; `certain` ones are filled, and `words` tell of it."""

    value: float
    low: float
    high: float
    certain: bool
    words: str


def estimates(found: Mapping[str, Estimate], caption: str, *, neutral: float) -> str:
    """A dot with its interval a row, by name, beside the line of no effect."""
    rows = Rows(list(found))
    ends = [end for estimate in found.values() for end in (estimate.low, estimate.high)]
    low, high = min(neutral, *ends), max(neutral, *ends)
    margin = 0.04 * (high - low) or 0.1
    scale = Scale(low - margin, high + margin, rows.left, NARROW)
    parts = [x_axis(scale, TOP, rows.bottom, caption), rows.labels()]
    parts.append(line(scale(neutral), TOP, scale(neutral), rows.bottom, "neutral"))
    for estimate, y in zip(found.values(), rows.middles, strict=True):
        parts.append(_estimate(estimate, y, scale))
    return picture(NARROW + 14, rows.bottom + FOOT, caption, *parts)


def _estimate(estimate: Estimate, y: float, scale: Scale) -> str:
    kind = "certain" if estimate.certain else "open"
    return tag(
        "g",
        title(estimate.words),
        line(scale(estimate.low), y, scale(estimate.high), y, f"interval {kind}"),
        tag("circle", class_=f"estimate {kind}", cx=number(scale(estimate.value)), cy=y, r=4.5),
    )
