"""Other programs' arrays of probabilities, masks or logits as what a store keeps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.masks import grow_box
from handbone_cli.store.array_files import NNUNET_KEYS, open_array
from handbone_cli.store.axes import classes_first
from handbone_cli.store.boxes import MARGIN, BoxedProbabilities

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask

ROWS = 64
"""Rows at a time of an array whose classes lie innermost: one pass over it, not one a class."""
SAMPLED = 64
"""Rows and columns of an array that are looked at to tell a softmax."""
SAMPLED_SLACK = 0.02
"""So far from 1 the sum of a softmax in float16 over many classes may be."""
SLACK = 1e-3
"""So far beyond 0 and 1 rounding may take a probability (float16, resampling)."""


@dataclass(frozen=True)
class ArrayForm:
    """What is said of arrays to import; what is not said is found out.

    Attributes:
        key: which array of an .npz.
        axes: order of the axes, one of AXES.
        background: channel 0 is background, and left out.
        logits: values are logits: a sigmoid makes them probabilities.
    """

    key: str | None = None
    axes: str | None = None
    background: bool = False
    logits: bool = False


def read_probabilities(
    path: Path, classes: int, form: ArrayForm, size: tuple[int, int] | None = None
) -> BoxedProbabilities:
    """The probabilities in a file of one image.

    float: 0 to 1 (or logits); bool, and integers of 0 and 1: masks; uint8: 255 p. nnU-Net's arrays
    (key `probabilities` or `softmax`) may have the background as one channel more, in front.

    Args:
        path: .npy or .npz.
        classes: C.
        form: what is said of it.
        size: (H, W) of the image, where it is known.

    Raises:
        HandboneError: what is wrong with the file, in one sentence.
    """
    array, key = open_array(path, form.key)
    if array.dtype.kind not in "biuf":
        raise HandboneError(
            f"{path}: an array of {array.dtype}; expected float16, float32, uint8 or bool."
        )
    channels = {classes + 1} if form.background else {classes, classes + (key in NNUNET_KEYS)}
    cube = classes_first(path, array, channels, size, form.axes)
    if 0 in cube.shape:
        raise HandboneError(f"{path}: the array has no pixels.")
    if len(cube) > classes:
        if not form.background:
            _require_softmax(path, cube)
        cube = cube[1:]
    quantise = _Quantiser(path, cube, form)
    height, width = cube.shape[1:]
    planes = _planes(cube, quantise)
    whole = (0, height, 0, width)
    found = BoxedProbabilities.from_planes(
        classes, (height, width), lambda index: (planes(index), whole)
    )
    quantise.refuse_probabilities()
    return found


def _require_softmax(path: Path, cube: NDArray[Any]) -> None:
    """A channel too many is nnU-Net's background only where all channels sum to 1."""
    rows, columns = (max(side // SAMPLED, 1) for side in cube.shape[1:])
    sums = cube[:, ::rows, ::columns].astype(np.float64).sum(axis=0)
    if not np.allclose(sums, 1, atol=SAMPLED_SLACK):
        raise HandboneError(
            f"{path}: {len(cube)} channels for {len(cube) - 1} classes, and no softmax (they do "
            "not sum to 1); if channel 0 is background, say --background."
        )


def _planes(
    cube: NDArray[Any], quantise: Callable[[NDArray[Any]], NDArray[np.uint8]]
) -> Callable[[int], NDArray[np.uint8]]:
    """Class -> q (H, W), reading the array once."""
    if cube.strides[0] >= max(cube.strides[1:]):
        return lambda index: quantise(cube[index])
    planes = np.empty(cube.shape, np.uint8)
    for row in range(0, cube.shape[1], ROWS):
        planes[:, row : row + ROWS] = quantise(cube[:, row : row + ROWS])
    return lambda index: planes[index]


class _Quantiser:
    """Values of one file to q = rint(255 p), refusing what is no probability."""

    def __init__(self, path: Path, cube: NDArray[Any], form: ArrayForm) -> None:
        self._path, self._logits = path, form.logits
        self._low, self._high = np.inf, -np.inf
        self._scale = 1
        if cube.dtype.kind in "biu":
            self._scale = self._whole_numbers(cube)

    def _whole_numbers(self, cube: NDArray[Any]) -> int:
        """What takes whole numbers to q: 255 for masks, 1 for q itself."""
        if self._logits:
            raise HandboneError(f"{self._path}: an array of {cube.dtype}; logits are floats.")
        if cube.dtype.kind == "b":
            return 255
        highest, lowest = int(cube.max()), int(cube.min())
        if lowest >= 0 and highest <= 1:
            return 255
        if cube.dtype != np.uint8:
            raise HandboneError(
                f"{self._path}: {cube.dtype} from {lowest} to {highest}; expected masks of 0 and "
                "1, uint8 (255 p), or floats from 0 to 1."
            )
        return 1

    def __call__(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        if values.dtype.kind in "biu":
            return np.asarray(values.astype(np.uint8) * np.uint8(self._scale), np.uint8)
        with np.errstate(over="ignore"):  # becomes infinite, and is refused
            values = np.asarray(values, np.float32)
        low, high = float(values.min()), float(values.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            what = "NaN" if np.isnan(low) else "infinite values"
            raise HandboneError(f"{self._path}: holds {what}; expected numbers from 0 to 1.")
        self._low, self._high = min(self._low, low), max(self._high, high)
        if self._logits:
            values = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * values))
        elif low < -SLACK or high > 1 + SLACK:
            scaled = "; if they are 255 p, divide by 255" if low >= -SLACK else ""
            raise HandboneError(
                f"{self._path}: values {_span(low, high)}, which are no probabilities; if they are "
                f"logits, say --logits{scaled}."
            )
        return np.asarray(np.rint(np.clip(values, 0, 1) * np.float32(255)), np.uint8)

    def refuse_probabilities(self) -> None:
        """Refuse --logits for an array that has only values from 0 to 1."""
        if self._logits and self._low >= 0 and self._high <= 1:
            raise HandboneError(
                f"{self._path}: values {_span(self._low, self._high)} are probabilities, not "
                "logits; leave --logits out."
            )


def _span(low: float, high: float) -> str:
    return f"from {round(low, 4):g} to {round(high, 4):g}"


def from_masks(mask: PackedMask) -> BoxedProbabilities:
    """Masks as probabilities of 0 and 1."""
    boxes = mask.boxes()

    def plane(index: int) -> tuple[NDArray[np.uint8], tuple[int, int, int, int]]:
        box = boxes[index] if boxes[index][0] == boxes[index][1] else grow_box(
            boxes[index], MARGIN, mask.size
        )  # fmt: skip
        return mask.crop(index, box).astype(np.uint8) * np.uint8(255), box

    return BoxedProbabilities.from_planes(mask.classes, mask.size, plane)
