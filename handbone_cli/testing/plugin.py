"""The plugin that is to be checked: an installed distribution, a module, or a folder of sources."""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import distribution, distributions
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError, closest
from handbone_cli.files import require, write_text
from handbone_cli.host.hookspecs import PROJECT
from handbone_cli.host.registry import collect, find_entry_points
from handbone_cli.recipe.load import parse_toml
from handbone_cli.testing.exits import exits_raised

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack
    from importlib.metadata import Distribution, EntryPoint

    from handbone_cli.host.registry import Registry

HOW = f"[project.entry-points.{PROJECT}]"
"""The table of a pyproject.toml that handbone looks for."""


@dataclass(frozen=True)
class Plugin:
    """What is to be checked, and the registry of everything beside it.

    Attributes:
        name: of the distribution.
        version: of the distribution.
        modules: what its entry points name, with what each of them registers.
        registry: of all that is installed, which losses and the like build on.
    """

    name: str
    version: str
    modules: Mapping[EntryPoint, Registry]
    registry: Registry


def locate(word: str, stack: ExitStack) -> Plugin:
    """The plugin that is meant by a distribution's name, a folder or a module's name.

    Args:
        word: a folder that is not `./NAME` gives way to an installed distribution of that name.
        stack: takes a folder off the import path again when it is closed.

    Raises:
        HandboneError: nothing is called that, or it has no entry point.
    """
    installed = {_canonical(dist.name): dist for dist in distributions() if dist.name}
    folder = Path(word)
    if word.startswith(".") or os.sep in word:
        return _of_folder(require(folder, "a folder with a pyproject.toml"), stack)
    if _canonical(word) in installed:
        return _of_distribution(installed[_canonical(word)])
    if (folder / "pyproject.toml").is_file():
        return _of_folder(folder, stack)
    if word.isidentifier() and find_spec(word) is not None:
        return _of_module(word, stack)
    ours = {point.dist.name for point in find_entry_points() if point.dist}
    raise HandboneError(
        f"no distribution, module or folder is called '{word}'. {closest(word, ours)}"
    )


def _of_distribution(dist: Distribution) -> Plugin:
    points = [point for point in find_entry_points() if point.dist and point.dist.name == dist.name]
    if not points:
        raise HandboneError(
            f"{dist.name} {dist.version} has no entry point for handbone: add {HOW} to its "
            "pyproject.toml and install it again."
        )
    return _plugin(dist.name, dist.version, points)


def _of_folder(folder: Path, stack: ExitStack) -> Plugin:
    """A distribution that need not be installed: found as if it were, ahead of all others."""
    path = folder / "pyproject.toml"
    project = parse_toml(path).get("project", {})
    points = project.get("entry-points", {}).get(PROJECT)
    if not points or not project.get("name"):
        lacks = HOW if project.get("name") else "[project] with a name"
        raise HandboneError(f"{path}: expected {lacks}, by which handbone finds a plugin.")
    homes = [str(home.resolve()) for home in (folder, folder / "src") if home.is_dir()]
    name, version = project["name"], str(project.get("version", "0"))
    stack.enter_context(_as_if_installed(name, version, points, homes))
    return _of_distribution(distribution(name))


def _of_module(module: str, stack: ExitStack) -> Plugin:
    """A module by itself: one of a distribution's, or one that no entry point names."""
    points = [point for point in find_entry_points() if point.module.partition(".")[0] == module]
    if points and points[0].dist:
        return _plugin(points[0].dist.name, points[0].dist.version, points)
    stack.enter_context(_as_if_installed(module, "0", {module: module}, []))
    return _of_distribution(distribution(module))


def _plugin(name: str, version: str, points: Sequence[EntryPoint]) -> Plugin:
    with exits_raised():
        everything = collect(find_entry_points())
        return Plugin(name, version, {point: collect([point]) for point in points}, everything)


@contextlib.contextmanager
def _as_if_installed(
    name: str, version: str, points: Mapping[str, str], homes: Sequence[str]
) -> Iterator[None]:
    """Metadata as pip writes it and the sources' folders, first on the import path."""
    tops = {value.partition(":")[0].partition(".")[0] for value in points.values()}
    before = [*sys.path]
    with tempfile.TemporaryDirectory(prefix="handbone-check-") as made:
        info = Path(made) / f"{_canonical(name).replace('-', '_')}-{version}.dist-info"
        lines = [f"[{PROJECT}]", *(f"{key} = {value}" for key, value in points.items())]
        write_text(info / "METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        write_text(info / "entry_points.txt", "\n".join(lines) + "\n")
        sys.path[:0] = [made, *homes]
        _forget(tops, homes)
        try:
            yield
        finally:
            sys.path[:] = before
            _forget(tops, homes)


def _forget(tops: set[str], homes: Sequence[str]) -> None:
    """Let the next import find modules anew, where another folder is now the first to be asked."""
    importlib.invalidate_caches()
    for name in [each for each in sys.modules if homes and each.partition(".")[0] in tops]:
        del sys.modules[name]


def _canonical(name: str) -> str:
    """A distribution's name as PyPI compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
