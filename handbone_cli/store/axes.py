"""Which axis of another program's array is what: found by the count of classes, or said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from numpy.typing import NDArray

GUESSED = ("CHW", "HWC")
AXES = (*GUESSED, "CWH", "WHC")
"""Orders of an array's axes: classes, height, width."""


def classes_first(
    path: Path,
    array: NDArray[Any],
    channels: Collection[int],
    size: tuple[int, int] | None = None,
    axes: str | None = None,
) -> NDArray[Any]:
    """A view (channels, H, W) of an array.

    Args:
        path: for the sentences.
        array: with three axes, and any more of length 1; with one channel also (H, W).
        channels: how many there may be.
        size: (H, W) of the image, where it is known.
        axes: one of AXES, where it is said.

    Raises:
        HandboneError: no order of axes fits, or more than one does.
    """
    cube = _squeeze(path, array, channels)
    fits = [order for order in ([axes] if axes else GUESSED) if _count(cube, order) in channels]
    if not fits:
        count = " or ".join(map(str, sorted(channels)))
        orders = " or ".join([axes] if axes else GUESSED)
        raise HandboneError(
            f"{path}: an array of {_shown(array)}; expected {count} classes, as {orders}."
        )
    sized = [order for order in fits if size in {None, _first(cube, order).shape[1:]}]
    if not sized:
        turned = [o for o in AXES if _count(cube, o) in channels and
                  _first(cube, o).shape[1:] == size]  # fmt: skip
        hint = f"; its axes may be {turned[0]} (--axes)" if turned else ""
        found = _first(cube, fits[0]).shape[1:]
        raise HandboneError(
            f"{path}: {found[0]} x {found[1]} pixels, and its image has {size[0]} x {size[1]}"  # type: ignore[index]
            f"{hint}."
        )
    if len(sized) > 1:
        raise HandboneError(
            f"{path}: an array of {_shown(array)} may be {' or '.join(sized)}; say which with "
            "--axes."
        )
    return _first(cube, sized[0])


def _squeeze(path: Path, array: NDArray[Any], channels: Collection[int]) -> NDArray[Any]:
    """Three axes: nnU-Net writes (C, 1, H, W), networks (1, C, H, W)."""
    if array.ndim == 2 and 1 in channels:
        return array[None]
    while array.ndim > 3:
        single = [axis for axis in (1, 0, *range(2, array.ndim)) if array.shape[axis] == 1]
        if not single:
            break
        array = array.squeeze(single[0])
    if array.ndim != 3:
        raise HandboneError(f"{path}: an array of {_shown(array)}; expected three axes.")
    return array


def _count(cube: NDArray[Any], order: str) -> int:
    return int(cube.shape[order.index("C")])


def _first(cube: NDArray[Any], order: str) -> NDArray[Any]:
    return np.transpose(cube, [order.index(axis) for axis in "CHW"])


def _shown(array: NDArray[Any]) -> str:
    return " x ".join(map(str, array.shape)) or "no axis"
