"""The registry: finds plugins by entry point, keeps their components, builds them by name."""

from __future__ import annotations

import functools
import importlib
import re
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pluggy

from handbone_cli.errors import HandboneError, closest
from handbone_cli.host.hookspecs import (
    API_VERSION,
    KINDS,
    OLDEST_API,
    PROJECT,
    RESERVED,
    HandboneSpecs,
)
from handbone_cli.host.interfaces import NoOptions, Options
from handbone_cli.host.origin import declared_in_source, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from importlib.metadata import EntryPoint

    from handbone_cli.host.hookspecs import Example, Planner


class UnreachableOptionError(HandboneError):
    """An option by the name of a key that a recipe's table has itself."""


@dataclass(frozen=True)
class Component:
    """One registered component: how to build it and where it comes from."""

    kind: str
    name: str
    factory: str | Callable[..., Any]
    options: str | type[Options] | None
    summary: str
    divisor: int
    distribution: str
    version: str
    paper: str = ""
    example: Example | None = None
    planner: str | Planner | None = None

    def options_type(self) -> type[Options]:
        """The options class, imported now if it was registered by its path.

        Raises:
            HandboneError: a path that leads nowhere, or an option that no recipe could set.
        """
        if self.options is None:
            return NoOptions
        found = self._import(self.options) if isinstance(self.options, str) else self.options
        for key in getattr(found, "model_fields", {}):
            if key in ("name", *RESERVED.get(self.kind, ())):
                raise UnreachableOptionError(
                    f"{KINDS[self.kind]} '{self.name}' of {self.distribution} {self.version} has "
                    f"an option '{key}', a key that recipes keep for themselves; call it otherwise."
                )
        return found

    def builder(self) -> Callable[..., Any]:
        """The factory, imported now if it was registered by its path."""
        return self._import(self.factory) if isinstance(self.factory, str) else self.factory

    def load_planner(self) -> Planner | None:
        """The planner, imported now if it was registered by its path; None without one."""
        return self._import(self.planner) if isinstance(self.planner, str) else self.planner

    def _import(self, path: str) -> Any:
        module_name, _, attribute = path.partition(":")
        try:
            return getattr(importlib.import_module(module_name), attribute)
        except (ImportError, AttributeError) as error:
            raise HandboneError(
                f"{KINDS[self.kind]} '{self.name}' of {self.distribution} {self.version} "
                f"cannot be loaded from '{path}': {error}. Reinstall or remove that distribution."
            ) from error


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that could not be loaded; `hb` goes on without it.

    Attributes:
        distribution: that it came with.
        entry_point: what was to be loaded, or the hook that failed.
        reason: in one sentence.
        place: file and line in the plugin where it failed, where that is known.
    """

    distribution: str
    entry_point: str
    reason: str
    place: str = ""


@dataclass
class Registry:
    """All components by kind and name."""

    components: dict[str, dict[str, Component]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )
    broken: list[BrokenPlugin] = field(default_factory=list)

    def add(self, component: Component) -> None:
        """Add a component; a name that is taken is an error that names both distributions.

        Raises:
            HandboneError: that, or a name that is not lower_snake, or an option by a reserved name.
        """
        if isinstance(component.options, type):  # a path is looked into when it is used
            component.options_type()
        if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", component.name):
            raise HandboneError(
                f"{component.distribution} registers {KINDS[component.kind]} '{component.name}': "
                "a name must be lower_snake."
            )
        known = self.components[component.kind].get(component.name)
        if known is not None:
            raise HandboneError(
                f"{KINDS[component.kind]} '{component.name}' is registered twice, by "
                f"{known.distribution} {known.version} and by {component.distribution} "
                f"{component.version}; uninstall one of them."
            )
        self.components[component.kind][component.name] = component

    def all(self) -> list[Component]:
        """Every component, by kind and name."""
        return [self.components[kind][name] for kind in KINDS for name in self.names(kind)]

    def names(self, kind: str) -> list[str]:
        """The names of a kind, sorted."""
        return sorted(self.components[kind])

    def get(self, kind: str, name: str) -> Component:
        """A component; an unknown name is answered with the closest and the list."""
        try:
            return self.components[kind][name]
        except KeyError:
            hint = "".join(
                f" ({b.distribution} could not be loaded: {b.reason})" for b in self.broken
            )
            message = f"no {KINDS[kind]} is named '{name}'. {closest(name, self.names(kind))}{hint}"
            raise HandboneError(message) from None

    def build(self, kind: str, name: str, options: Mapping[str, Any], context: object) -> Any:
        """Check the options of a component and build it.

        Raises:
            HandboneError: unknown name, wrong options, or a plugin that cannot be imported.
        """
        component = self.get(kind, name)
        return component.builder()(self.parse_options(component, options), context)

    @staticmethod
    def parse_options(component: Component, options: Mapping[str, Any]) -> Options:
        """Options checked against the component's class; the first mistake in one sentence."""
        from pydantic import ValidationError

        try:
            return component.options_type().model_validate(dict(options))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            known = component.options_type().model_fields
            hint = f" {closest(key, known)}" if first["type"] == "extra_forbidden" else ""
            raise HandboneError(
                f"{KINDS[component.kind]} '{component.name}', option '{key}': {first['msg']}.{hint}"
            ) from error


def collect(entry_points: Iterable[EntryPoint]) -> Registry:
    """Load the given entry points into a new registry; a broken one is noted, not fatal."""
    registry = Registry()
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(HandboneSpecs)
    for entry_point in entry_points:
        distribution = entry_point.dist
        origin = (distribution.name, distribution.version) if distribution else ("unknown", "?")
        try:
            plugin = entry_point.load()
            refusal = api_refusal(declared_api(entry_point, plugin), origin[0])
            if refusal:
                registry.broken.append(BrokenPlugin(origin[0], entry_point.value, refusal))
                continue
            _check_hooks(plugin)
            manager.register(plugin, name=f"{origin[0]}:{entry_point.name}")
        except HandboneError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  a stranger's module may raise anything
            registry.broken.append(_broken(entry_point, origin[0], error))
            continue
        _call_hooks(manager, plugin, registry, origin, entry_point)
    return registry


def declared_api(entry_point: EntryPoint, plugin: object) -> object:
    """The HANDBONE_API of a loaded plugin or of the module it stands in; None without one."""
    module = sys.modules.get(entry_point.value.partition(":")[0])
    return getattr(plugin, "HANDBONE_API", getattr(module, "HANDBONE_API", None))


def api_refusal(asked: object, distribution: str) -> str:
    """Why a plugin with this HANDBONE_API is not loaded, in one sentence; '' if it is."""
    if asked is None:
        return ""
    if not isinstance(asked, int) or isinstance(asked, bool):
        return f"its HANDBONE_API is {asked!r}; expected a whole number, such as {API_VERSION}"
    asks = f"it asks for version {asked} of handbone's plugin interface"
    if asked > API_VERSION:
        return (
            f"{asks} and this handbone has {API_VERSION}; upgrade handbone, or install an older "
            f"{distribution}"
        )
    if asked < OLDEST_API:
        return f"{asks} and this handbone's oldest is {OLDEST_API}; upgrade {distribution}"
    return ""


def _broken(entry_point: EntryPoint, distribution: str, error: BaseException) -> BrokenPlugin:
    """What is wrong with a plugin that did not load: perhaps just that handbone is too old."""
    module = entry_point.value.partition(":")[0]
    reason = api_refusal(declared_in_source(module), distribution)
    return BrokenPlugin(
        distribution,
        entry_point.value,
        reason or f"{type(error).__name__}: {error}",
        "" if isinstance(error, SyntaxError) else place_of(error, module),  # which says it itself
    )


def _check_hooks(plugin: object) -> None:
    known = [f"handbone_{kind}" for kind in KINDS]
    for name in vars(plugin):
        if hasattr(getattr(plugin, name), "handbone_impl") and name not in known:
            raise AttributeError(f"no hook is named '{name}'. {closest(name, known)}")


def _call_hooks(
    manager: pluggy.PluginManager,
    plugin: object,
    registry: Registry,
    origin: tuple[str, str],
    entry_point: EntryPoint,
) -> None:
    for kind in KINDS:
        others = [other for other in manager.get_plugins() if other is not plugin]
        caller = manager.subset_hook_caller(f"handbone_{kind}", others)
        try:
            caller(register=functools.partial(_register, registry, kind, origin))
        except UnreachableOptionError as error:
            reason = str(error).rstrip(".")
            registry.broken.append(BrokenPlugin(origin[0], f"handbone_{kind}", reason))
        except HandboneError:
            raise
        except Exception as error:  # noqa: BLE001  a stranger's module may raise anything
            reason = f"{type(error).__name__}: {error}"
            place = place_of(error, entry_point.value.partition(":")[0])
            registry.broken.append(BrokenPlugin(origin[0], f"handbone_{kind}", reason, place))


def _register(
    registry: Registry,
    kind: str,
    origin: tuple[str, str],
    name: str,
    factory: str | Callable[..., Any],
    *,
    options: str | type[Options] | None = None,
    summary: str = "",
    divisor: int = 1,
    paper: str = "",
    example: Example | None = None,
    planner: str | Planner | None = None,
) -> None:
    registry.add(
        Component(kind, name, factory, options, summary, divisor, *origin, paper, example, planner)
    )


@functools.cache
def installed() -> Registry:
    """The registry of everything installed in this environment, found once a process."""
    return collect(find_entry_points())


def find_entry_points() -> list[EntryPoint]:
    """The plugins of every distribution that can be imported, in a fixed order."""
    from importlib.metadata import entry_points

    return sorted(entry_points(group=PROJECT), key=lambda point: (point.value, point.name))
