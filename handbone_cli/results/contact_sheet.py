"""Contact sheets: many captioned pictures on one, to leaf through a data set at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.results.pictures import DIM_INK, Lettering, canvas

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray


def contact_sheet(
    tiles: Iterable[tuple[str, NDArray[np.uint8]]], columns: int, tile_side: int
) -> NDArray[np.uint8]:
    """Put captioned pictures on a dark sheet, row by row.

    Args:
        tiles: (caption, (h, w, 3) uint8 RGB); taken one at a time, only the small ones are kept.
        columns: tiles in a row; fewer if there are fewer tiles.
        tile_side: pixels of the square that each picture is scaled into, whole and centred.

    Returns:
        (H, W, 3) uint8 RGB; an empty sheet of one tile's size if there is no tile.
    """
    if columns < 1 or tile_side < 1:
        raise ValueError(f"{columns} columns of {tile_side} px; expected at least 1 of each")
    drawn = [_tile(caption, picture, tile_side) for caption, picture in tiles]
    height, width = _tile_size(tile_side)
    used = min(columns, max(len(drawn), 1))
    gap = _gap(tile_side)
    sheet = canvas(max(-(-len(drawn) // used), 1) * height + gap, used * width + gap)
    for place, tile in enumerate(drawn):
        y, x = place // used * height + gap, place % used * width + gap
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return sheet


def _gap(side: int) -> int:
    return max(2, side // 40)


def _line(side: int) -> int:
    return min(max(14, side // 14), 36)


def _tile_size(side: int) -> tuple[int, int]:
    """Rows and columns from one tile to the next."""
    return side + _line(side) + _gap(side), side + _gap(side)


def _tile(caption: str, picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    line = _line(side)
    tile = canvas(side + line, side)
    small = _scaled(picture, side)
    y, x = (side - small.shape[0]) // 2, (side - small.shape[1]) // 2
    tile[y : y + small.shape[0], x : x + small.shape[1]] = small
    text = Lettering(0.72 * line)
    fitting = text.fit(caption, side)
    text.draw(tile, fitting, (side - text.width(fitting)) // 2, side + line // 2, DIM_INK)
    return tile


def _scaled(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)
