"""The forest plot of a comparison: the difference of every bone with its interval, as one SVG."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.results.dataset_page import svg

if TYPE_CHECKING:
    from handbone_cli.results.compare import Comparison, Finding

WIDTH, RIGHT, FIGURES = 920.0, 620.0, 640.0
"""Of the whole; where the chart ends and where the figures beside it begin, px."""
TOP, ROW, GAP, BOTTOM = 96.0, 19.0, 12.0, 64.0
"""Above the first row, of a row, between the mean and the bones, below the last row; px."""
MARGIN = 14.0
LONGEST_NAME = 26
MARK = "<!-- forest plot by handbone -->\n"
COLOURS = {"mark": ("#0b6bb0", "#5cb3f0")}
"""On light and on dark paper."""
RULES = """
text.mean { font-weight: 600 }
text.figure { font-variant-numeric: tabular-nums }
.zero { stroke: var(--ink); stroke-width: 1 }
.interval { stroke: var(--mark); stroke-width: 1.6; stroke-linecap: round }
.tie { fill: var(--paper); stroke: var(--mark); stroke-width: 1.6 }
.differs { fill: var(--mark); stroke: var(--mark); stroke-width: 1.6 }
"""


def draw_forest(comparison: Comparison, names: tuple[str, str]) -> str:
    """Draw a comparison: the mean on top, the bones below it, those that A gains most on first.

    Dots are filled where A and B differ at 5 %, of bones after Holm's correction; bars are 95 %
    intervals of each by itself. A bone without a difference is left out.

    Returns:
        A whole SVG document, light or dark as its reader is.
    """
    class_names = comparison.scores.class_names
    rows = [("all bones", comparison.overall)]
    rows += [(class_names[place], comparison.bones[place]) for place in comparison.order()]
    rows = [(name, finding) for name, finding in rows if math.isfinite(finding.difference)]
    left = MARGIN + svg.label_width([name for name, _ in rows])
    end = TOP + GAP + ROW * len(rows)
    scale = svg.Scale(*_span([finding for _, finding in rows]), left, RIGHT)
    a, b = (name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…" for name in names)
    drawn = [
        _row(name, finding, scale, TOP + ROW * (place + 0.5) + (GAP if place else 0.0), left)
        for place, (name, finding) in enumerate(rows)
    ]
    height = end + BOTTOM
    metric = comparison.scores.metric
    sides = (f"← {b} better", f"{a} better →") if metric.higher_is_better else (
        f"← {a} better", f"{b} better →")  # fmt: skip
    zero = scale(0.0)
    return MARK + svg.tag(
        "svg",
        svg.style(RULES, **COLOURS),
        svg.text(MARGIN, 28, f"{a} less {b}: mean {metric.name}", class_="heading"),
        svg.text(MARGIN, 48, _below_heading(comparison)),
        svg.text(left, TOP - 12, sides[0], class_="tick"),
        svg.text(RIGHT, TOP - 12, sides[1], class_="tick", text_anchor="end"),
        svg.text(FIGURES, TOP - 12, "difference, 95 % interval", class_="tick"),
        svg.text(WIDTH - MARGIN, TOP - 12, "p", class_="tick", text_anchor="end"),
        svg.x_axis(scale, TOP - 4, end, f"difference of {metric.name}"),
        svg.line(zero, TOP - 4, zero, end, "zero"),
        *drawn,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {svg.number(WIDTH)} {svg.number(height)}",
        width=WIDTH,
        height=height,
    )


def is_forest(head: bytes) -> bool:
    """Whether a file that begins so is one that `draw_forest` drew."""
    return head.startswith(MARK.encode())


def _below_heading(comparison: Comparison) -> str:
    images, people = len(comparison.scores.image_ids), comparison.people
    return (
        f"{images} images of {people} people. Filled: differs at 5 % (bones after Holm's "
        "correction). Bars: 95 % intervals, each by itself."
    )


def _span(findings: list[Finding]) -> tuple[float, float]:
    """What the axis shows: all intervals, and zero."""
    ends = np.array([end for finding in findings for end in finding.interval])
    low, high = svg.padded(np.append(ends[np.isfinite(ends)], 0.0), part=0.04)
    return low, high


def _row(name: str, finding: Finding, scale: svg.Scale, y: float, left: float) -> str:
    mean = "mean" if name == "all bones" else ""
    low, high = finding.interval
    look = "differs" if finding.certain else "tie"
    radius = 5.0 if mean else 4.0
    figures = f"{signed(finding.difference)}  ({signed(low)} to {signed(high)})"
    return "".join(
        [
            svg.text(left - 10, y + 4, name, class_=mean, text_anchor="end"),
            svg.line(scale(low), y, scale(high), y, "interval"),
            svg.tag("circle", cx=scale(finding.difference), cy=y, r=radius, class_=look),
            svg.text(FIGURES, y + 4, figures, class_=f"figure {mean}".strip()),
            svg.text(WIDTH - MARGIN, y + 4, p_text(finding.p), class_="figure", text_anchor="end"),
        ]
    )


def signed(value: float) -> str:
    """'+0.0123'; nothing is less than zero by nothing."""
    text = f"{value:+.4f}"
    return "+0.0000" if text == "-0.0000" else text


def p_text(p: float) -> str:
    """'0.012', '<0.001'."""
    return f"{p:.3f}" if p >= 0.001 else "<0.001"
