"""The competition's RLE: 1-based "start length" pairs over the row-major flattened mask."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.masks import EMPTY, Box, PackedMask

if TYPE_CHECKING:
    from numpy.typing import NDArray


def encode(mask: PackedMask, index: int, box: Box | None = None) -> str:
    """Encode one class of a mask; "" if it is nowhere.

    Args:
        mask: the classes of an image.
        index: which class.
        box: any box that holds all of the class, where the caller has it; found by default.
    """
    y0, y1, x0, x1 = mask.boxes()[index] if box is None else box
    if y0 == y1:
        return ""
    found = runs(mask.crop(index, (y0, y1, x0, x1)), (y0, x0), mask.size[1])
    found[:, 0] += 1
    return " ".join(map(str, found.ravel().tolist()))


def runs(crop: NDArray[np.bool_], corner: tuple[int, int], full: int) -> NDArray[np.int64]:
    """The runs of a part of an image of `full` columns, flattened row by row.

    Args:
        crop: (h, w), not empty; all outside it is false.
        corner: the row and column of its first pixel.
        full: W of the image.

    Returns:
        (n, 2) int64: start from 0, and length.
    """
    height, width = crop.shape
    # One column of false beside the box ends every run with its row. In a box as wide as the image
    # there is none: a run goes on in the next row.
    stride = width if width == full else width + 1
    flat = np.zeros(height * stride + 2, np.bool_)
    flat[1:-1].reshape(height, stride)[:, :width] = crop
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    places = (corner[0] + edges // stride) * full + corner[1] + edges % stride
    return np.stack([places[0::2], places[1::2] - places[0::2]], axis=1)


def encode_all(mask: PackedMask) -> list[str]:
    """Encode every class of a mask, in class order."""
    return [encode(mask, index, box) for index, box in enumerate(mask.boxes())]


def decode(text: str, size: tuple[int, int]) -> NDArray[np.int64]:
    """Read the runs of an RLE.

    Args:
        text: "start length start length ..."; blank for an empty mask.
        size: (H, W) of the image.

    Returns:
        (n, 2) int64: where each run starts and ends in the row-major flattened image, 0-based,
        half-open, ascending, apart from each other.

    Raises:
        ValueError: one sentence that says what is wrong; the caller knows the file and the line.
    """
    numbers = _numbers(text)
    if len(numbers) % 2:
        raise ValueError(f"the RLE has {len(numbers)} numbers, an odd count; expected pairs.")
    starts, lengths = numbers[0::2], numbers[1::2]
    if (starts < 1).any():
        raise ValueError(f"a run starts at {starts.min()}; pixels are counted from 1.")
    if (lengths < 1).any():
        raise ValueError(f"a run is {lengths.min()} pixels long; expected at least 1.")
    pixels = size[0] * size[1]
    over = np.flatnonzero((starts > pixels) | (lengths > pixels - starts + 1))
    if len(over):
        run = f"the run of {lengths[over[0]]} pixels at {starts[over[0]]}"
        raise ValueError(f"{run} goes beyond the image of {size[0]} x {size[1]} = {pixels} pixels.")
    ends = starts + lengths
    wrong = np.flatnonzero(starts[1:] < ends[:-1])
    if len(wrong):
        before, after = starts[wrong[0]], starts[wrong[0] + 1]
        how = "overlaps the one before it" if after >= before else "comes after a later one"
        raise ValueError(f"the run at {after} {how} (at {before}).")
    return np.stack([starts - 1, ends - 1], axis=1)


def _numbers(text: str) -> NDArray[np.int64]:
    words = text.split()
    # int() alone would take 1_000 and other scripts' digits.
    if not (letters := "".join(words)).isascii() or "_" in letters:
        raise ValueError(_not_whole(words))
    try:
        return np.array([int(word) for word in words], np.int64)
    except OverflowError:
        raise ValueError("a number of the RLE is larger than any image.") from None
    except ValueError:
        raise ValueError(_not_whole(words)) from None


def _not_whole(words: list[str]) -> str:
    odd = (word for word in words if not re.fullmatch("[+-]?[0-9]+", word))
    wrong = next(odd, max(words, key=len))
    return f"the RLE holds '{wrong[:20]}', which is no whole number."


def add(mask: PackedMask, index: int, text: str) -> None:
    """Switch a class of a mask on where an RLE says; in place, for builders only.

    Raises:
        ValueError: as `decode`.
    """
    runs = decode(text, mask.size)
    box = _runs_box(runs, mask.size[1])
    if box == EMPTY:
        return
    y0, y1, x0, x1 = box
    height, width, full = y1 - y0, x1 - x0, mask.size[1]
    stride = width if width == full else width + 1
    last = runs[:, 1] - 1
    marks = np.zeros(height * stride + 1, np.int8)
    marks[(runs[:, 0] // full - y0) * stride + runs[:, 0] % full - x0] += 1
    marks[(last // full - y0) * stride + last % full - x0 + 1] -= 1
    filled = np.cumsum(marks[:-1], dtype=np.int8).view(np.uint8)
    mask.add(index, box, filled.reshape(height, stride)[:, :width])


def _runs_box(runs: NDArray[np.int64], width: int) -> Box:
    """The tight box of runs; as wide as the image if a run goes on in the next row."""
    if not len(runs):
        return EMPTY
    first, last = runs[:, 0], runs[:, 1] - 1
    y0, y1 = int(first[0]) // width, int(last[-1]) // width + 1
    if (first // width != last // width).any():
        return y0, y1, 0, width
    return y0, y1, int((first % width).min()), int((last % width).max()) + 1
