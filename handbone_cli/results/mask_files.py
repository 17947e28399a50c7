"""Masks of one image as files: a PNG a bone, one PNG with a bit a bone, or outlines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.files import refuse_foreign, write_bytes
from handbone_cli.results.outlines import exact_outlines
from handbone_cli.results.pictures import is_picture, mark_png

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.masks import PackedMask

MOST_PACKED = 32
"""Bits of a pixel of an 8-bit PNG, which has four channels at most."""
OUTLINES_HEAD = b'{"made_by": "handbone",\n'
"""The first line, which says whose file it is."""


def write_bones(folder: Path, mask: PackedMask, class_names: Sequence[str]) -> None:
    """Write `folder/BONE.png` for every class: 8 bit, 255 on the bone and 0 elsewhere.

    Raises:
        HandboneError: a file of that name is not ours; it cannot be written.
    """
    whole = (0, mask.size[0], 0, mask.size[1])
    for index, name in enumerate(class_names):
        _write_png(folder / f"{name}.png", mask.crop(index, whole).view(np.uint8) * np.uint8(255))


def write_packed(path: Path, mask: PackedMask) -> None:
    """Write one PNG whose pixels are the mask's bits: class c is bit c & 7 of channel c >> 3.

    Grey up to 8 classes, RGB up to 24, RGBA up to 32; channels that are not needed are 0.

    Raises:
        HandboneError: a file of that name is not ours; it cannot be written.
    """
    planes = mask.planes
    count = planes.shape[2]
    if count > 1:
        padding = max(3 - count, 0)
        planes = np.pad(planes, ((0, 0), (0, 0), (0, padding)))
        order = [2, 1, 0, *range(3, count)]  # OpenCV takes blue first
        planes = np.ascontiguousarray(planes[..., order])
    _write_png(path, planes)


def write_outlines(path: Path, mask: PackedMask, class_names: Sequence[str], image_id: str) -> None:
    """Write the outlines of every bone that is there, in the competition's form of labels.

    Raises:
        HandboneError: a file of that name is not ours; it cannot be written.
    """
    refuse_foreign(path, "a file of outlines", is_outlines)
    annotations = [
        json.dumps({"label": name, "points": outline.tolist()})
        for index, name in enumerate(class_names)
        for outline in exact_outlines(mask, index)
    ]
    facts = {"image_id": image_id, "height": mask.size[0], "width": mask.size[1]}
    told = json.dumps(facts)[1:-1] + ',\n"annotations": [\n' + ",\n".join(annotations) + "\n]}\n"
    write_bytes(path, OUTLINES_HEAD + told.encode())


def is_outlines(head: bytes) -> bool:
    """Whether a file that begins so is one that `write_outlines` wrote."""
    return head.startswith(OUTLINES_HEAD)


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    refuse_foreign(path, "a PNG of masks", is_picture)
    write_bytes(path, mark_png(cv2.imencode(".png", pixels)[1].tobytes()))


def require_packable(class_names: Sequence[str]) -> None:
    """Refuse more classes than a pixel has bits."""
    if len(class_names) > MOST_PACKED:
        raise HandboneError(
            f"{len(class_names)} classes do not fit into the {MOST_PACKED} bits of a PNG's pixel; "
            "choose some with --bone, or another form."
        )


def require_file_names(names: Sequence[str], what: str) -> None:
    """Refuse names that would lead elsewhere, or hide a file."""
    for name in names:
        if not name or name.startswith(".") or "/" in name or "\\" in name:
            raise HandboneError(f"{what} '{name}' cannot name a file; export in another form.")
