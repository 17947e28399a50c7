"""Legends: swatches with names and figures, in as many columns as the height needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.results.pictures import DIM_INK, INK, Colour, Lettering, canvas

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SMALLEST_ROW, LARGEST_ROW = 17, 44  # pixels


@dataclass(frozen=True)
class Entry:
    """One row: a colour (None: no swatch), a name, a figure; dim for what is not in the picture."""

    name: str
    colour: Colour | None = None
    figure: str = ""
    dim: bool = False
    ink: Colour = INK


def row_height(entries: int, height: int) -> int:
    """How high a row is, 17 to 44 px, where so many entries have a height to share."""
    return min(max(height // (entries + 1), SMALLEST_ROW), LARGEST_ROW)


def draw_legend(entries: Sequence[Entry], height: int, row: int) -> NDArray[np.uint8]:
    """Draw a legend: (height, w, 3) uint8 RGB, w as the names need.

    Rows are `row` pixels high; what the height does not hold goes on in further columns.
    """
    rows = max((height - row) // row, 1)
    columns = [entries[start : start + rows] for start in range(0, len(entries), rows)]
    return np.hstack([_column(column, row, height) for column in columns])


def _column(entries: Sequence[Entry], row: int, height: int) -> NDArray[np.uint8]:
    text = Lettering(0.66 * row)
    swatch, gap = round(0.62 * row), round(0.5 * row)
    names = max(text.width(entry.name) for entry in entries)
    figures = max(text.width(entry.figure) for entry in entries)
    left = gap + swatch + gap
    right = left + names + (figures + 2 * gap if figures else 0)
    column = canvas(height, right + gap)
    for place, entry in enumerate(entries):
        middle = row + place * row
        ink = DIM_INK if entry.dim else entry.ink
        if entry.colour is not None:
            _swatch(column, entry, (gap, middle - swatch // 2), swatch)
        text.draw(column, entry.name, left, middle, DIM_INK if entry.dim else INK)
        text.draw_right(column, entry.figure, right, middle, ink)
    return column


def _swatch(column: NDArray[np.uint8], entry: Entry, corner: tuple[int, int], side: int) -> None:
    """A filled square; only its frame for a bone that is not in the picture."""
    assert entry.colour is not None
    end = corner[0] + side, corner[1] + side
    cv2.rectangle(column, corner, end, entry.colour, 1 if entry.dim else cv2.FILLED)
