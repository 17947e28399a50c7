"""Arrays in .npy and .npz files of any program, opened without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError, closest
from handbone_cli.files import explain
from handbone_cli.store.boxes import BAD_ZIP

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MAGIC = {".npy": b"\x93NUMPY", ".npz": b"PK"}
"""How files of each suffix begin."""
NNUNET_KEYS = ("probabilities", "softmax")
"""What nnU-Net calls its array: version 2, version 1."""
NOTES = frozenset({"class_names"})
"""Arrays beside the probabilities that hold none."""


def open_array(path: Path, key: str | None = None) -> tuple[NDArray[Any], str]:
    """The array of a file, and its key; that of .npy is mapped into memory, and its key is ''.

    Args:
        path: .npy or .npz.
        key: which array of an .npz; by default nnU-Net's, or the only one.

    Raises:
        HandboneError: one sentence: no such file, torn, empty, of Python objects, no such key.
    """
    try:
        _require_magic(path)
        if path.suffix.lower() == ".npy":
            return np.load(path, mmap_mode="r", allow_pickle=False), ""
        with np.load(path, allow_pickle=False) as members:
            name = _choose(path, members.files, key)
            return members[name], name
    except (OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, *BAD_ZIP) as error:
        if isinstance(error, OSError) and error.errno:
            raise explain(error, path, "read it") from error
        if "bject" in str(error):  # numpy's two ways to say so
            raise HandboneError(
                f"{path}: an array of Python objects, which hb does not unpickle; save it as "
                "float16, float32, uint8 or bool."
            ) from error
        raise HandboneError(
            f"{path}: not a whole {path.suffix} file ({error}); write it again."
        ) from error


def _require_magic(path: Path) -> None:
    """Refuse what numpy would take for a pickle."""
    with path.open("rb") as file:
        head = file.read(6)
    magic = MAGIC[path.suffix.lower()]
    if not head:
        raise HandboneError(f"{path}: the file is empty; write it again.")
    if not head.startswith(magic):
        raise HandboneError(f"{path}: not a {path.suffix} file, whatever its name says.")


def _choose(path: Path, names: list[str], key: str | None) -> str:
    found = [name for name in names if name not in NOTES]
    if key is not None:
        if key not in names:
            raise HandboneError(f"{path}: there is no array '{key}' in it. {closest(key, names)}")
        return key
    if {"boxes", "size", "q0"} <= set(names):
        raise HandboneError(f"{path}: an image of a store; its store needs no import.")
    known = [name for name in NNUNET_KEYS if name in found] or found
    if not known:
        raise HandboneError(f"{path}: there is no array in it.")
    if len(known) > 1 and known[0] not in NNUNET_KEYS:
        raise HandboneError(
            f"{path}: holds {len(known)} arrays ({', '.join(known[:5])}); name one with --key."
        )
    return known[0]
