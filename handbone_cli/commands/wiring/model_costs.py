"""The costs of models: from the cache, or measured now, in processes where they are many."""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import TYPE_CHECKING, TypeAlias

from handbone_cli.errors import HandboneError
from handbone_cli.files import make_folder
from handbone_cli.networks.cost import ModelCost, measure_cost
from handbone_cli.networks.cost_cache import CostCache

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from handbone_cli.host.interfaces import Options
    from handbone_cli.host.registry import Component, Registry

Found: TypeAlias = "ModelCost | str"
"""A cost, or why there is none, in one sentence."""
MODELS_A_WORKER = 4
"""A process takes as long to import torch and timm as to measure so many models."""


def open_cache() -> CostCache:
    """The cache of costs in the user's cache folder; one line if it cannot be written."""
    from handbone_cli.data.cache import cache_folder
    from handbone_cli.terminal.progress import say

    folder = cache_folder(True)
    assert folder is not None
    cache = CostCache(folder / "models")
    try:
        make_folder(cache.folder)
    except HandboneError as error:
        say(f"figures are not kept: {error}")
    return cache


def find_cost(
    component: Component, options: Options, cache: CostCache, *, refresh: bool = False
) -> ModelCost:
    """The cost of a model with options, measured unless it is known.

    Raises:
        HandboneError: the model cannot be built.
    """
    known = None if refresh else cache.get(component, options)
    if known is not None:
        return known
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what libraries tell their developers
        cost = measure_cost(component, options)
    with contextlib.suppress(HandboneError):  # said when the cache was opened
        cache.put(component, options, cost)
    return cost


def find_costs(registry: Registry, names: Sequence[str], *, refresh: bool) -> dict[str, Found]:
    """The costs of models with their default options, by name.

    What is measured is kept at once, so that Ctrl-C loses nothing.
    """
    cache = open_cache()
    found: dict[str, Found] = {}
    for name in [] if refresh else names:
        known = _known(registry, name, cache)
        if known is not None:
            found[name] = known
    missing = [name for name in names if name not in found]
    if missing:
        found |= zip(missing, _measure_all(registry, missing, cache), strict=True)
    return found


def _known(registry: Registry, name: str, cache: CostCache) -> ModelCost | None:
    component = registry.get("models", name)
    with contextlib.suppress(Exception):  # measuring will say why
        return cache.get(component, registry.parse_options(component, {}))
    return None


def _measure_all(registry: Registry, names: Sequence[str], cache: CostCache) -> Iterator[Found]:
    from handbone_cli.data.processes import default_workers, map_in_processes
    from handbone_cli.terminal.progress import progress

    workers = min(default_workers(), len(names) // MODELS_A_WORKER)
    work = functools.partial(_measure_installed, cache.folder)
    if workers < 2:  # in this process, and with its registry
        work = functools.partial(_measure, registry, cache.folder)
    with progress("Measuring models", "models") as report:
        report(0, len(names), names[0])
        for done, found in enumerate(map_in_processes(work, names, workers), 1):
            report(done, len(names), names[done] if done < len(names) else "")
            yield found


def _measure_installed(folder: Path, name: str) -> Found:
    """In a process of its own, which finds the plugins itself."""
    from handbone_cli.host.registry import installed

    return _measure(installed(), folder, name)


def _measure(registry: Registry, folder: Path, name: str) -> Found:
    component = registry.get("models", name)
    try:
        options = registry.parse_options(component, {})
        return find_cost(component, options, CostCache(folder), refresh=True)
    except HandboneError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001  a stranger's module may raise anything
        return f"{type(error).__name__}: {error}"
