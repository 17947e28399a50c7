"""A store's images as files of other programs: whole cubes of one array."""

from __future__ import annotations

import os
import zipfile
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from handbone_cli.files import atomic_write

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


def is_current(made: Path, sources: Sequence[Path]) -> bool:
    """Whether a file or folder was made of these files as they are now; see `mark_current`."""
    return made.exists() and made.stat().st_mtime_ns == _newest(sources)


def mark_current(made: Path, sources: Sequence[Path]) -> None:
    """Give what was made the time of the newest file it was made of: an export goes on there."""
    newest = _newest(sources)
    os.utime(made, ns=(newest, newest))


def _newest(sources: Sequence[Path]) -> int:
    return max(source.stat().st_mtime_ns for source in sources)
