"""Small SVG: escaped tags, linear and logarithmic scales, round ticks, axes.

Colours are CSS classes and variables of the page, so that charts follow its light and dark theme.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

CHARACTER = 6.3
"""Width of a letter in a 12 px sans serif, px; enough to leave room for names."""

MUTED, GRID = ("#57606a", "#a3adb8"), ("#e3e6ea", "#2c3239")
INK, PAPER = ("#1b1f24", "#e6e9ee"), ("#ffffff", "#14171b")
"""Colours on light and on dark paper, of charts that are files of their own."""


def style(rules: str, **colours: tuple[str, str]) -> str:
    """The style element of a chart that is a file of its own, light or dark as its reader is.

    Args:
        rules: CSS of this chart, after what all have in common.
        colours: variables of it, each on light and on dark paper.
    """
    every = {"ink": INK, "muted": MUTED, "grid": GRID, "paper": PAPER, **colours}
    light, dark = (
        " ".join(f"--{name}: {pair[look]};" for name, pair in every.items()) for look in (0, 1)
    )
    return f"""<style>
svg {{ {light} background: var(--paper) }}
@media (prefers-color-scheme: dark) {{ svg {{ {dark} }} }}
text {{ fill: var(--ink); font: 12px system-ui, "Segoe UI", Roboto, "Noto Sans", sans-serif }}
text.heading {{ font-size: 16px; font-weight: 600 }}
text.tick {{ fill: var(--muted); font-size: 11px }}
.grid {{ stroke: var(--grid); stroke-width: 1 }}
{rules.strip()}
</style>"""


def tag(name: str, *content: str, **attributes: object) -> str:
    """An element; attribute values are escaped, content is SVG already.

    `class_` is class, and an underscore inside a name is a hyphen: `text_anchor`.
    """
    words = [name]
    for key, value in attributes.items():
        shown = number(value) if isinstance(value, float) else str(value)
        words.append(f'{key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    inside = "".join(content)
    return f"<{' '.join(words)}>{inside}</{name}>" if inside else f"<{' '.join(words)}/>"


def text(x: float, y: float, words: str, **attributes: object) -> str:
    """A line of text, escaped."""
    return tag("text", escape(words), x=float(x), y=float(y), **attributes)


def title(words: str) -> str:
    """What a pointer resting on the element is told."""
    return tag("title", escape(words))


def line(x1: float, y1: float, x2: float, y2: float, class_: str = "grid") -> str:
    """A straight line."""
    return tag("path", class_=class_, d=f"M{number(x1)} {number(y1)}L{number(x2)} {number(y2)}")


def number(value: float) -> str:
    """A coordinate with two decimals at most."""
    short = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if short in {"", "-0"} else short


def dots(points: NDArray[np.float64]) -> str:
    """Path data of (n, 2) points: strokes of no length, which round caps make dots."""
    return "".join(f"M{x:.1f} {y:.1f}h0" for x, y in points)


def polygon(points: NDArray[np.float64]) -> str:
    """Path data of a closed outline (n, 2)."""
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + "Z"


def picture(width: float, height: float, label: str, *content: str, smallest: float = 0.74) -> str:
    """A chart as wide as its place on the page, between `smallest` and 1.15 of its own width."""
    return tag(
        "svg",
        *content,
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_label=label,
        style=f"max-width:{number(1.15 * width)}px;min-width:{number(smallest * width)}px",
    )


@dataclass(frozen=True)
class Scale:
    """From values between `low` and `high` to pixels between `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value."""
        low, high = self.low, self.high
        if self.logarithmic:
            value, low, high = math.log(value), math.log(low), math.log(high)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[float]:
        """Round values: four to eight, or the more of every decade the fewer decades there are."""
        if not self.logarithmic:
            return _linear_ticks(self.low, self.high)
        low, high = math.log10(self.low), math.log10(self.high)
        decades = range(math.floor(low), math.ceil(high) + 1)
        steps = (1, 2, 3, 5, 7) if high - low < 1.8 else (1, 3) if high - low < 3.5 else (1,)
        every = [step * 10.0**decade for decade in decades for step in steps]
        found = [value for value in every if self.low <= value <= self.high]
        return found if len(found) > 2 else _linear_ticks(self.low, self.high)


def _linear_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def padded(values: NDArray[np.float64], part: float = 0.06) -> tuple[float, float]:
    """Least and largest finite value, a part of the span further out."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    margin = part * (high - low) or 0.5 * abs(high) or 0.5
    return low - margin, high + margin


def short_number(value: float) -> str:
    """A tick's label: 0.05, 300, 20k, 1.5M."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{round(value, 10):g}"


def x_axis(scale: Scale, top: float, bottom: float, caption: str, unit: str = "") -> str:
    """Grid lines from `top` to `bottom`, labels under them and a caption under all."""
    parts = []
    for value in scale.ticks():
        x = scale(value)
        parts += [
            line(x, top, x, bottom),
            text(x, bottom + 16, short_number(value) + unit, class_="tick", text_anchor="middle"),
        ]
    middle = (scale.start + scale.end) / 2
    return "".join([*parts, text(middle, bottom + 35, caption, text_anchor="middle")])


def y_axis(scale: Scale, left: float, right: float, caption: str, unit: str = "") -> str:
    """Grid lines from `left` to `right`, labels before them and a caption above."""
    parts = []
    for value in scale.ticks():
        y = scale(value)
        label = short_number(value) + unit
        parts += [
            line(left, y, right, y),
            text(left - 7, y + 4, label, class_="tick", text_anchor="end"),
        ]
    return "".join([*parts, text(2, scale.end - 12, caption)])


def label_width(names: Sequence[str]) -> float:
    """Room for the longest of some names, px."""
    return CHARACTER * max(map(len, names), default=0) + 14
