"""Costs of models between runs of `hb`: a file each, keyed by all that could change them."""

from __future__ import annotations

import functools
import importlib.util
import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.files import digest, digest_json, write_bytes
from handbone_cli.networks.cost import ModelCost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handbone_cli.host.interfaces import Options
    from handbone_cli.host.registry import Component

FOUNDATION = ("torch", "torchvision", "timm", "segmentation-models-pytorch")
"""What decides costs even where a plugin's distribution does not require it."""
MEASURED_BY = ("cost", "memory", "meta", "products", "wrapper")
"""Modules beside this one."""


@dataclass(frozen=True)
class CostCache:
    """Costs by component and options; any number of processes may read and write at once.

    An entry holds as long as nothing changes that it may depend on: handbone and how it measures,
    the component's distribution and what that requires, torch, timm, and the source of the
    component's package, so that an edit of a plugin shows at once.
    """

    folder: Path

    def get(self, component: Component, options: Options) -> ModelCost | None:
        """The cost that is known; None if none is, or what is there cannot be read."""
        try:
            return ModelCost.model_validate_json(self.place(component, options).read_bytes())
        except (OSError, ValueError):
            return None

    def put(self, component: Component, options: Options, cost: ModelCost) -> None:
        """Keep a cost.

        Raises:
            HandboneError: the folder cannot be written.
        """
        write_bytes(self.place(component, options), cost.model_dump_json().encode())

    def place(self, component: Component, options: Options) -> Path:
        """The file of a component with options, as things are installed now."""
        key: dict[str, Any] = {
            "factory": _path(component.factory),
            "divisor": component.divisor,
            "options": options.model_dump(mode="json"),
            "versions": _versions(component.distribution),
            "source": [_source(_package(each)) for each in (component.factory, type(options))],
            "measured by": [_source_of(Path(__file__).with_name(f"{n}.py")) for n in MEASURED_BY],
        }
        name = f"{component.distribution}-{component.version}-{component.name}"
        return self.folder / f"{name}-{digest_json(key)[:16]}.json"


def _path(factory: object) -> str:
    if isinstance(factory, str):
        return factory
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    return f"{getattr(factory, '__module__', '')}:{name}"


def _package(factory: object) -> str:
    return _path(factory).partition(":")[0].partition(".")[0]


@functools.cache
def _versions(distribution: str) -> dict[str, str]:
    """Versions of a distribution, of what it requires, of handbone and of its foundation."""
    try:
        required = requires(distribution) or []
    except PackageNotFoundError:
        required = []
    names = [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required]
    found = {}
    for name in sorted({"handbone", distribution, *FOUNDATION, *names}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""  # an extra that is not there
    return found


@functools.cache
def _source(package: str) -> str:
    """Digest of a top-level package's Python files, found without importing it."""
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return ""
    if spec is None:
        return ""
    if spec.submodule_search_locations:
        return "".join(_source_of(Path(each)) for each in spec.submodule_search_locations)
    return _source_of(Path(spec.origin)) if spec.origin else ""


@functools.cache
def _source_of(place: Path) -> str:
    return digest_json([digest(path.read_bytes()) for path in _python_files(place)])


def _python_files(place: Path) -> Iterator[Path]:
    yield from sorted(place.rglob("*.py")) if place.is_dir() else [place] * place.is_file()
