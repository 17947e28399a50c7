"""Gains of a choice as one SVG: what it promised in-sample, what it kept on people left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.results.dataset_page import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

HEADING, STEP, BOTTOM, CHART, RIGHT = 78.0, 19.0, 52.0, 560.0, 24.0
"""Above the chart, a bone, below the chart, the chart's width, right of it; px."""
MARK = "<!-- gains by handbone -->\n"
COLOURS = {
    "kept": ("#0b6bb0", "#5cb3f0"),
    "promise": ("#c2540a", "#f0964a"),
}
"""On light and on dark paper."""
RULES = """
text.note { fill: var(--muted); font-size: 11px }
text.whole { font-weight: 600 }
.zero { stroke: var(--muted); stroke-width: 1.2 }
.optimism { stroke: var(--grid); stroke-width: 5; stroke-linecap: round }
.error { stroke: var(--muted); stroke-width: 1.4 }
.error.kept { stroke: var(--kept); stroke-width: 2.2 }
.promise { fill: none; stroke: var(--promise); stroke-width: 1.8 }
.gain { fill: var(--paper); stroke: var(--muted); stroke-width: 1.6 }
.gain.kept { fill: var(--kept); stroke: var(--kept) }
"""


@dataclass(frozen=True)
class GainBar:
    """A line of the picture.

    Attributes:
        name: of the bone.
        in_sample: gain on the people it was found on.
        left_out: gain on people left out.
        error: standard error of that; nan where unknown.
        kept: whether the choice was kept.
    """

    name: str
    in_sample: float
    left_out: float
    error: float
    kept: bool


def draw_gains(bars: Sequence[GainBar], title: str, note: str) -> str:
    """Draw one line a bone: a ring in-sample, a dot with its standard error on people left out.

    Args:
        bars: the whole first, then the bones.
        title: stands above.
        note: under the title.

    Returns:
        A whole SVG document, light or dark as its reader is.
    """
    left = 8 + svg.label_width([bar.name for bar in bars])
    bottom = HEADING + STEP * len(bars)
    ends = [
        end
        for bar in bars
        for end in (bar.in_sample, bar.left_out - _error(bar), bar.left_out + _error(bar))
    ]
    x = svg.Scale(*svg.padded(np.array([0.0, *ends])), left, left + CHART)
    width, height = left + CHART + RIGHT, bottom + BOTTOM
    return MARK + svg.tag(
        "svg",
        svg.style(RULES, **COLOURS),
        svg.text(8, 24, title, class_="heading"),
        svg.text(8, 42, note, class_="note"),
        _legend(62.0),
        svg.x_axis(x, HEADING, bottom, "gain in Dice over uniform weights at one half"),
        svg.line(x(0), HEADING, x(0), bottom, "zero"),
        *(_bar(bar, x, HEADING + STEP * (place + 0.5)) for place, bar in enumerate(bars)),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {svg.number(width)} {svg.number(height)}",
        width=width,
        height=height,
    )


def is_gains(head: bytes) -> bool:
    """Whether a file that begins so is one that `draw_gains` drew."""
    return head.startswith(MARK.encode())


def _error(bar: GainBar) -> float:
    return bar.error if np.isfinite(bar.error) else 0.0


def _bar(bar: GainBar, x: svg.Scale, y: float) -> str:
    look = " kept" if bar.kept else ""
    first, last = x(bar.left_out - _error(bar)), x(bar.left_out + _error(bar))
    said = f"{bar.name}: {bar.left_out:+.4f} +- {bar.error:.4f}, in-sample {bar.in_sample:+.4f}"
    whole = "whole" if bar.name == "all bones" else "name"
    return svg.tag(
        "g",
        svg.title(said),
        svg.text(x.start - 8, y + 4, bar.name, class_=whole, text_anchor="end"),
        svg.line(x(bar.left_out), y, x(bar.in_sample), y, "optimism"),
        svg.line(first, y, last, y, f"error{look}"),
        svg.tag("circle", class_="promise", cx=x(bar.in_sample), cy=y, r=4.5),
        svg.tag("circle", class_=f"gain{look}", cx=x(bar.left_out), cy=y, r=4.0),
    )


def _legend(y: float) -> str:
    parts, x = [], 14.0
    for look, words in (
        ("promise", "in-sample, as found"),
        ("gain kept", "people left out, with standard error: kept"),
        ("gain", "refused"),
    ):
        mark = svg.tag("circle", class_=look, cx=x, cy=y - 4, r=4.0)
        parts += [mark, svg.text(x + 11, y, words)]
        x += 20 + 1.1 * svg.label_width([words])
    return "".join(parts)
