"""Owns weights that come with a distribution: run directories by name, as `pretrained`."""

from __future__ import annotations

import difflib
import importlib.util
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError
from handbone_cli.files import file_digest, require

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint

GROUP = "handbone.weights"
"""Entry points whose name is what users say, and whose value is a package that is a run."""
SUMS = "SHA256SUMS"


def weights_names() -> list[str]:
    """What is installed, by name."""
    return sorted({point.name for point in _points()})


def named_weights(path: Path) -> Path:
    """The folder of installed weights where a path is their name and nothing lies there.

    Their files are compared with the digests that came with them.

    Raises:
        HandboneError: a file that is damaged or missing; a name that is nearly one.
    """
    if path.exists() or path.name != str(path):
        return path
    for point in _points():
        if point.name == path.name:
            found = importlib.util.find_spec(point.value)
            if found is None or not found.submodule_search_locations:
                raise HandboneError(
                    f"{point.name}: its package {point.value} is not there; install "
                    f"{_distribution(point)} again."
                )
            folder = Path(next(iter(found.submodule_search_locations)))
            _check(folder, point)
            return folder
    if close := difflib.get_close_matches(path.name, weights_names(), 1):
        raise HandboneError(
            f"{path}: no such file or folder, nor weights of that name. Did you mean '{close[0]}'?"
        )
    return path


def _check(folder: Path, point: EntryPoint) -> None:
    """Compare every file with its digest, a line each, as `sha256sum` writes them."""
    again = f"install {_distribution(point)} again"
    for line in require(folder / SUMS, again).read_text().splitlines():
        digest, _, name = line.partition("  ")
        if file_digest(require(folder / name, again)) != digest:
            raise HandboneError(f"{folder / name}: damaged, its SHA-256 is another; {again}.")


def _distribution(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.value


def _points() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)
