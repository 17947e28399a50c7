"""Which bones overlap: heat maps of pairs, and how many labels pixels have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.results.dataset_page.rows import box_plots
from handbone_cli.results.dataset_page.svg import label_width, line, picture, tag, text, title

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.dataset_figures import DatasetFigures

CELL = 17.0
MOST_NAMES = 48
PALE, DARK = 0.13, 0.55  # shares of ink: the least, and from where letters are light
LAYER_COLOURS = ("var(--other)", "var(--accent)", "var(--second)")


def heat_map(names: Sequence[str], values: NDArray[np.float64], what: str) -> str:
    """The pairs below the diagonal as cells: darker is more, the number is per cent.

    Args:
        names: C names.
        values: (C, C) between 0 and 1, NaN for a pair never seen together.
        what: of whom the numbers are a share, for a pointer resting on a cell.
    """
    left = label_width(names)
    foot = 0.72 * left + 18
    side = CELL * len(names)
    most = float(np.nanmax(np.where(np.eye(len(names), dtype=bool), 0, values), initial=0)) or 1.0
    parts = []
    for row, name in enumerate(names):
        y = row * CELL
        parts += [
            text(left - 8, y + CELL - 4.5, name, text_anchor="end"),
            line(left, y + CELL, left + (row + 1) * CELL, y + CELL),
            line(left + row * CELL, y, left + row * CELL, side),
            _name_below(name, left + (row + 0.5) * CELL, side),
        ]
        for column in range(row):
            value = float(values[row, column])
            if value > 0:
                told = title(f"{names[column]} and {name}: {100 * value:.3g} % {what}")
                parts.append(_cell(value, most, left + column * CELL, y, told))
    return picture(left + side + 14, side + foot, what, *parts)


def _name_below(name: str, x: float, foot: float) -> str:
    turn = f"translate({x + 4:.1f} {foot + 8:.1f}) rotate(-50)"
    return text(0, 4, name, transform=turn, text_anchor="end")


def _cell(value: float, most: float, x: float, y: float, told: str) -> str:
    shade = PALE + (1 - PALE) * (value / most) ** 0.5
    ink = "cell-light" if shade > DARK else "cell-dark"
    percent = 100 * value
    parts = [
        tag(
            "rect",
            class_="cell",
            x=x + 0.5,
            y=y + 0.5,
            width=CELL - 1,
            height=CELL - 1,
            fill_opacity=shade,
        )
    ]
    if percent >= 0.5:
        middle = x + CELL / 2
        parts.append(text(middle, y + 11.5, f"{percent:.0f}", class_=ink, text_anchor="middle"))
    return tag("g", told, *parts)


def overlapping(values: NDArray[np.float64]) -> list[int]:
    """The classes to show: those that are there, of very many those that overlap others."""
    there = np.flatnonzero(~np.isnan(np.diag(values)))
    if len(there) > MOST_NAMES:
        pairs = np.where(np.eye(len(values), dtype=bool), 0, np.nan_to_num(values))
        there = np.flatnonzero(pairs.any(axis=0))
    return [int(index) for index in there]


def layer_chart(figures: DatasetFigures) -> str:
    """How much of every image has one label, two, three ...: a box a number of labels."""
    shares = layer_shares(figures)
    names = [f"{n} label{'s' if n > 1 else ''}" for n in range(1, shares.shape[1])]
    columns = [100 * column[column > 0] for column in shares.T[1:]]
    colours = [LAYER_COLOURS[min(place, 2)] for place in range(len(names))]

    def tell(place: int) -> str:
        column = columns[place]
        median = f"median {np.median(column):.3g} % of the pixels"
        return f"{names[place]}: in {len(column)} of {len(shares)} images, {median}"

    return box_plots(names, columns, colours, "share of the image's pixels, % (logarithmic)", tell)


def layer_shares(figures: DatasetFigures) -> NDArray[np.float64]:
    """(labelled images, n + 1) share of the pixels that have 0, 1 ... n labels."""
    most = max(len(image.layers) for image in figures.labelled)
    rows = [image.layers + (0,) * (most - len(image.layers)) for image in figures.labelled]
    pixels = np.array([image.pixels for image in figures.labelled], np.float64)
    return np.array(rows, np.float64) / pixels[:, None]
