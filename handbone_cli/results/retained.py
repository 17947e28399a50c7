"""Dice against the share of films that is kept when the least trusted are put aside first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.results.dataset_page import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640.0, 420.0, 62.0, 470.0, 74.0, 360.0
SHARES = (1.0, 0.9, 0.75, 0.5)
"""Shares kept that are told in words."""
MARK = "<!-- Dice against share kept by handbone -->\n"
COLOURS = {"score": ("#0b6bb0", "#5cb3f0"), "best": ("#c2540a", "#f0964a")}
RULES = """
.curve { fill: none; stroke-width: 2.2; stroke-linejoin: round }
.score { stroke: var(--score) } .best { stroke: var(--best) }
.chance { stroke: var(--muted); stroke-dasharray: 4 3; stroke-width: 1.4; fill: none }
text.note { fill: var(--muted); font-size: 11px }
"""


@dataclass(frozen=True, eq=False)
class Retained:
    """A risk-coverage curve (El-Yaniv and Wiener, JMLR 2010), of Dice in place of risk.

    Attributes:
        by_score: (N,) mean Dice of the 1, 2, ... N most trusted films.
        best: (N,) the same where the order is that of the truth.
        correlation: Spearman's, of scores and Dice; nan where either is constant.
        error: mean of |score - Dice|.
    """

    by_score: NDArray[np.float64]
    best: NDArray[np.float64]
    correlation: float
    error: float

    def at(self, share: float) -> tuple[float, float]:
        """Mean Dice of a share of the films: those most trusted, and those that are best."""
        place = max(round(share * len(self.best)), 1) - 1
        return float(self.by_score[place]), float(self.best[place])


def retained(scores: Sequence[float], dice: Sequence[float]) -> Retained:
    """The curve of N >= 1 films, of which score and Dice are known; ties keep their order."""
    told, known = np.asarray(scores, np.float64), np.asarray(dice, np.float64)
    counts = np.arange(1, len(known) + 1)
    ordered = known[np.argsort(-told, kind="stable")]
    return Retained(
        np.cumsum(ordered) / counts,
        np.cumsum(np.sort(known)[::-1]) / counts,
        _spearman(told, known),
        float(np.abs(told - known).mean()),
    )


def draw_retained(curve: Retained, title: str) -> str:
    """Draw it beside the best possible order and beside chance.

    Returns:
        A whole SVG document, light or dark as its reader is.
    """
    count = len(curve.best)
    low = float(min(curve.by_score.min(), curve.best[-1]))
    x = svg.Scale(0.0, 100.0, LEFT, RIGHT)
    y = svg.Scale(max(low - 0.05, 0.0), 1.0, BOTTOM, TOP)
    share = 100 * np.arange(1, count + 1) / count
    chance = float(curve.best[-1])
    lines = [
        ("best", curve.best, "best possible order"),
        ("score", curve.by_score, "least trusted put aside"),
    ]
    drawn = [
        svg.tag("path", class_=f"curve {look}", d=_path(share, values, x, y))
        for look, values, _ in lines
    ]
    legend = [
        svg.tag("path", class_=f"curve {look}", d=f"M{RIGHT + 14} {TOP + 16 * place}h18")
        + svg.text(RIGHT + 38, TOP + 16 * place + 4, words, class_="note")
        for place, (look, _, words) in enumerate([*reversed(lines), ("chance", (), "at random")])
    ]
    note = f"{count} films; Spearman {curve.correlation:.2f}, mean error {curve.error:.3f}"
    return MARK + svg.tag(
        "svg",
        svg.style(RULES, **COLOURS),
        svg.text(LEFT, 26, title, class_="heading"),
        svg.text(LEFT, 44, note, class_="note"),
        svg.x_axis(x, TOP, BOTTOM, "share of films kept", " %"),
        svg.y_axis(y, LEFT, RIGHT, "mean Dice"),
        svg.line(LEFT, y(chance), RIGHT, y(chance), "chance"),
        *drawn,
        *legend,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {svg.number(WIDTH)} {svg.number(HEIGHT)}",
        width=WIDTH,
        height=HEIGHT,
    )


def is_retained(head: bytes) -> bool:
    """Whether a file that begins so is one that `draw_retained` drew."""
    return head.startswith(MARK.encode())


def _path(
    share: NDArray[np.float64], values: NDArray[np.float64], x: svg.Scale, y: svg.Scale
) -> str:
    places = zip(share, values, strict=True)
    return "M" + "L".join(f"{x(float(a)):.1f} {y(float(b)):.1f}" for a, b in places)


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    ranks = [_ranks(values) for values in (a, b)]
    if min(np.ptp(each) for each in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks from 0, ties with their mean."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[inverse], np.float64)
