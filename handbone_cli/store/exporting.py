"""A store's images as files of other programs: whole cubes of one array, or a PNG mask a bone."""

from __future__ import annotations

import os
import zipfile
from typing import IO, TYPE_CHECKING, Any

import cv2
import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.files import atomic_write, write_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handbone_cli.store.boxes import BoxedProbabilities

KEY = "probabilities"
DTYPES = ("float16", "float32", "uint8")


def export_npy(path: Path, probabilities: BoxedProbabilities, dtype: str) -> None:
    """Write (C, H, W): floats q / 255, or uint8 q itself; one plane is in memory at a time."""
    with atomic_write(path) as file:
        _write_cube(file, probabilities, dtype)


def export_npz(
    path: Path, probabilities: BoxedProbabilities, dtype: str, class_names: Sequence[str]
) -> None:
    """Write the same, compressed, as `probabilities`, with `class_names` beside it."""
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as members:
        # A ZipInfo by name alone has a fixed date: the same content gives the same bytes.
        with members.open(zipfile.ZipInfo(f"{KEY}.npy"), "w", force_zip64=True) as member:
            _write_cube(member, probabilities, dtype)
        with members.open(zipfile.ZipInfo("class_names.npy"), "w") as member:
            np.lib.format.write_array(member, np.array(class_names), allow_pickle=False)


def _write_cube(file: IO[bytes], probabilities: BoxedProbabilities, dtype: str) -> None:
    (height, width), kind = probabilities.size, np.dtype(dtype)
    shape = (len(probabilities.crops), height, width)
    header: dict[str, Any] = {
        "descr": np.lib.format.dtype_to_descr(kind), "fortran_order": False, "shape": shape,
    }  # fmt: skip
    np.lib.format.write_array_header_1_0(file, header)
    for index in range(shape[0]):
        q = probabilities.crop(index, (0, height, 0, width))
        plane = q if kind == np.uint8 else (q / np.float32(255)).astype(kind)
        file.write(plane.data)


def export_masks(
    folder: Path, probabilities: BoxedProbabilities, class_names: Sequence[str], threshold: float
) -> None:
    """Write a PNG of 0 and 255 a class, `folder/CLASS.png`: 255 where q > 255 t."""
    height, width = probabilities.size
    for index, name in enumerate(class_names):
        q = probabilities.crop(index, (0, height, 0, width))
        mask = (q > 255 * threshold).astype(np.uint8) * np.uint8(255)
        write_bytes(folder / f"{name}.png", cv2.imencode(".png", mask)[1].tobytes())


def require_file_names(class_names: Sequence[str]) -> None:
    """Refuse classes that cannot name files."""
    for name in class_names:
        if not name or name.startswith(".") or "/" in name or "\\" in name:
            raise HandboneError(f"class '{name}' cannot name a PNG; export to npz or npy instead.")


def is_current(made: Path, source: Path) -> bool:
    """Whether a file or folder was made of a store's file as it is now; see `mark_current`."""
    return made.exists() and made.stat().st_mtime_ns == source.stat().st_mtime_ns


def mark_current(made: Path, source: Path) -> None:
    """Give what was made the time of what it was made of: an interrupted export goes on there."""
    stat = source.stat()
    os.utime(made, ns=(stat.st_atime_ns, stat.st_mtime_ns))
