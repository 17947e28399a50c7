"""COCO's JSON of many images' masks, run lengths as pycocotools reads and writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.files import atomic_write
from handbone_cli.masks import EMPTY
from handbone_cli.results.rle import runs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.masks import Box, PackedMask

HEAD = b'{"info": {"description": "Masks by handbone"},\n'
"""The first line, which says whose file it is."""
BITS = 5
"""Of a number in one character of COCO's text of run lengths."""
MORE = 32
"""Added to a character that others of the same number follow."""
FIRST = 48
"""The character of zero."""


def write_coco(
    path: Path,
    images: Sequence[tuple[str, str]],
    class_names: Sequence[str],
    masks: Callable[[str], PackedMask],
    report: Callable[[int, int], None],
) -> None:
    """Write one JSON: images, categories from 1 on, an annotation for every bone that is there.

    Args:
        path: the file; it appears whole or not at all.
        images: (image id, file name).
        class_names: of every mask.
        masks: image id -> its mask; one is in memory at a time.
        report: called with (images done, images in all).
    """
    categories = [{"id": place, "name": name} for place, name in enumerate(class_names, start=1)]
    listed = []
    number = 0
    with atomic_write(path) as file:
        file.write(HEAD + b'"categories": ' + json.dumps(categories).encode())
        file.write(b',\n"annotations": [')
        for place, (image_id, name) in enumerate(images, start=1):
            mask = masks(image_id)
            size = {"height": mask.size[0], "width": mask.size[1]}
            listed.append({"id": place, "file_name": name, **size})
            for annotation in _annotations(mask):
                number += 1
                line = json.dumps({"id": number, "image_id": place, **annotation})
                file.write(("\n" if number == 1 else ",\n").encode() + line.encode())
            report(place, len(images))
        file.write(b'\n],\n"images": [\n')
        file.write(",\n".join(map(json.dumps, listed)).encode() + b"\n]}\n")


def is_coco(head: bytes) -> bool:
    """Whether a file that begins so is one that `write_coco` wrote."""
    return head.startswith(HEAD)


def _annotations(mask: PackedMask) -> Iterator[dict[str, Any]]:
    for index, box in enumerate(mask.boxes()):
        if box == EMPTY:
            continue
        counts = column_counts(mask, index, box)
        y0, y1, x0, x1 = box
        yield {
            "category_id": index + 1,
            "segmentation": {"size": list(mask.size), "counts": encode_counts(counts)},
            "area": int(counts[1::2].sum()),
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "iscrowd": 0,
        }


def column_counts(mask: PackedMask, index: int, box: Box) -> NDArray[np.int64]:
    """Lengths of runs of one class down the columns of the image, off and on in turn, off first.

    Args:
        mask: of an image.
        index: a class that is somewhere.
        box: its tight box.
    """
    height, width = mask.size
    found = runs(mask.crop(index, box).T, (box[2], box[0]), height)
    edges = np.concatenate([[0], found.cumsum(axis=1).ravel(), [height * width]])
    counts = np.diff(edges)
    return counts if counts[-1] else counts[:-1]


def encode_counts(counts: NDArray[np.int64]) -> str:
    """COCO's text of run lengths (maskApi.c, rleToString).

    Five bits a character, the least first, and whether more follow; from the fourth on a length is
    told by its difference to the one before the last.
    """
    numbers = counts.copy()
    numbers[3:] -= counts[1:-2]
    shifts = BITS * np.arange(8)
    digits = (numbers[:, None] >> shifts) & (MORE - 1)
    rest = numbers[:, None] >> (shifts + BITS)
    ends = np.where(digits & (MORE >> 1), rest == -1, rest == 0)
    last = ends.argmax(axis=1)[:, None]
    places = np.arange(len(shifts))
    characters = digits + np.where(places < last, MORE, 0) + FIRST
    return bytes(characters[places <= last].astype(np.uint8)).decode("ascii")
