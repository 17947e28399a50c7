"""Probabilities of one image as uint8 in a box a class: what a store keeps."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.files import digest, write_bytes
from handbone_cli.masks import EMPTY, clip_box, grow_box, tight_box

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.masks import Box

FLOOR = 12
"""q up to this is stored as 0: sigmoids never reach zero, and a tail is no bone."""
CORE = 64
"""The box of a class is that of q at or above this ..."""
MARGIN = 16
"""... grown by this many pixels on every side."""
BAD_ZIP = (zipfile.BadZipFile, zlib.error)
"""What a torn .npz raises, beside builtin errors."""


@dataclass(frozen=True, eq=False)
class BoxedProbabilities:
    """Probabilities of C classes over one image.

    Attributes:
        size: (H, W) of the image in pixels.
        boxes: (C, 4) int32, y0, y1, x0, x1 half-open; zeros for a class that is nowhere.
        crops: C arrays (y1 - y0, x1 - x0) uint8, q = rint(255 p); zero outside the box.
    """

    size: tuple[int, int]
    boxes: NDArray[np.int32]
    crops: tuple[NDArray[np.uint8], ...]

    @classmethod
    def from_planes(
        cls,
        classes: int,
        size: tuple[int, int],
        plane: Callable[[int], tuple[NDArray[np.uint8], Box]],
        cores: Sequence[int] | None = None,
    ) -> BoxedProbabilities:
        """Boxes from planes given one at a time.

        Args:
            classes: C.
            size: (H, W).
            plane: class -> (q, box): uint8 inside a box of the image beyond which q is below FLOOR.
            cores: C levels in place of CORE, for classes that count as bone below it.
        """
        levels = [CORE] * classes if cores is None else cores
        found = [_trim(*plane(index), size, levels[index]) for index in range(classes)]
        boxes = np.array([box for _, box in found], np.int32).reshape(classes, 4)
        return cls(size, boxes, tuple(crop for crop, _ in found))

    def box(self, index: int) -> Box:
        """The box of a class."""
        y0, y1, x0, x1 = (int(edge) for edge in self.boxes[index])
        return y0, y1, x0, x1

    def crop(self, index: int, box: Box) -> NDArray[np.uint8]:
        """Q of a class inside any box of the image; zero where nothing is stored."""
        result = np.zeros((box[1] - box[0], box[3] - box[2]), np.uint8)
        own = self.box(index)
        shared = clip_box(own, box)
        if shared != EMPTY:
            y0, y1, x0, x1 = shared
            source = self.crops[index][y0 - own[0] : y1 - own[0], x0 - own[2] : x1 - own[2]]
            result[y0 - box[0] : y1 - box[0], x0 - box[2] : x1 - box[2]] = source
        return result

    def save(self, path: Path) -> tuple[int, str]:
        """Write one compressed .npz, whole or not at all: size, boxes and a member a class.

        Gives the bytes of the file and their SHA-256.
        """
        buffer = io.BytesIO()
        members = {f"q{index}": crop for index, crop in enumerate(self.crops)}
        np.savez_compressed(
            buffer,
            size=np.array(self.size, np.int32),
            boxes=self.boxes,
            **members,  # type: ignore[arg-type]
        )
        write_bytes(path, content := buffer.getvalue())
        return len(content), digest(content)

    @classmethod
    def load(cls, path: Path, chosen: Sequence[int] | None = None) -> BoxedProbabilities:
        """Read what `save` wrote; one sentence if the file is torn.

        Args:
            path: the .npz.
            chosen: these classes alone, in this order; no other is read. All by default.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as members:
                boxes = members["boxes"]
                height, width = (int(side) for side in members["size"])
                places = range(len(boxes)) if chosen is None else chosen
                boxes = boxes[list(places)]
                crops = tuple(members[f"q{index}"] for index in places)
            sizes = [(int(y1 - y0), int(x1 - x0)) for y0, y1, x0, x1 in boxes]
        except FileNotFoundError as error:
            raise HandboneError(f"{path}: missing from the store; predict it again.") from error
        except (
            OSError,
            ValueError,
            TypeError,
            LookupError,
            EOFError,
            RuntimeError,
            *BAD_ZIP,
        ) as error:
            raise HandboneError(
                f"{path}: not a readable part of a store ({error}); {_way_out(path)}."
            ) from error
        if [crop.shape for crop in crops] != sizes:
            raise HandboneError(f"{path}: a crop does not fit its box; {_way_out(path)}.")
        return cls((height, width), boxes, crops)


def are_empty(path: Path) -> bool:
    """Whether the probabilities in a file that `save` wrote are nowhere; its boxes are read alone.

    A file that cannot be read is not empty: `load` tells what is wrong with it.
    """
    try:
        with np.load(path, allow_pickle=False) as members:
            return not members["boxes"].any()
    except (OSError, ValueError, LookupError, EOFError, *BAD_ZIP):
        return False


def _trim(
    plane: NDArray[np.uint8], place: Box, size: tuple[int, int], core: int
) -> tuple[NDArray[np.uint8], Box]:
    """Floor a plane and cut it to its box, as the module's constants say but for the core."""
    highest = int(plane.max()) if plane.size else 0
    if highest <= FLOOR:
        return np.zeros((0, 0), np.uint8), EMPTY
    y0, y1, x0, x1 = tight_box(plane >= min(core, highest))
    box = grow_box((y0 + place[0], y1 + place[0], x0 + place[2], x1 + place[2]), MARGIN, size)
    box = clip_box(box, place)
    cut = plane[box[0] - place[0] : box[1] - place[0], box[2] - place[2] : box[3] - place[2]]
    return np.where(cut > FLOOR, cut, np.uint8(0)), box


def _way_out(path: Path) -> str:
    """What to do about a file of a store that is damaged."""
    return f"drop it with `hb store verify {path.parent.parent} --forget` and predict again"
