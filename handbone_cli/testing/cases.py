"""Every check of every component of a plugin as a case of its own, for whatever runs tests."""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import unittest
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from handbone_cli.errors import HandboneError, closest
from handbone_cli.host.hookspecs import KINDS
from handbone_cli.host.origin import place_of
from handbone_cli.host.registry import declared_api
from handbone_cli.testing.conformance import registration
from handbone_cli.testing.exits import exits_raised
from handbone_cli.testing.lightness import Loads, measure
from handbone_cli.testing.plugin import locate
from handbone_cli.testing.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from importlib.metadata import EntryPoint

    from handbone_cli.host.registry import Registry
    from handbone_cli.testing.plugin import Plugin

CONFORMANCE = "handbone_cli.testing.conformance"
MANY = 12
"""Components that are checked together, beyond which models are tried by their shapes alone."""
MODULE = "module"
"""Stands for the kind where a plugin's module is checked and none of its components."""


@dataclass(frozen=True)
class Result:
    """What came of a check.

    Attributes:
        outcome: passed, failed, or skipped where it cannot be tried here.
        reason: one sentence where it did not pass.
    """

    outcome: Literal["passed", "failed", "skipped"]
    reason: str = ""


@dataclass(frozen=True, eq=False)
class Case:
    """One check of a component, or of a plugin's module; to call it is to run it.

    Attributes:
        kind: the component's, or `MODULE`.
        name: the component's or the module's.
        check: raises AssertionError or unittest.SkipTest; its docstring is what it promises.
        prepare: makes what `check` is called with.
        module: where the plugin's files are.
    """

    kind: str
    name: str
    check: Callable[[Any], None]
    prepare: Callable[[], Any]
    module: str

    def __str__(self) -> str:
        """What a test runner calls it: `models-tiny_fcn-gradients`."""
        return f"{self.kind}-{self.name}-{self.check.__name__}"

    @property
    def promise(self) -> str:
        """What holds of a component that passes."""
        return (self.check.__doc__ or "").partition("\n")[0]

    @property
    def subject(self) -> str:
        """What is checked, in a sentence: `model 'tiny_fcn'`."""
        return f"{KINDS.get(self.kind, self.kind)} '{self.name}'"

    def __call__(self) -> None:
        """Run it.

        Raises:
            AssertionError: it failed; one sentence, with the line of the plugin where one raised.
            unittest.SkipTest: it cannot be tried here.
        """
        __tracebackhide__ = True
        result = self.result()
        if result.outcome == "failed":
            raise AssertionError(f"{self.subject}, {self.check.__name__}: {result.reason}")
        if result.outcome == "skipped":
            raise unittest.SkipTest(result.reason)

    def result(self) -> Result:
        """Run it and tell what came of it, whatever the plugin raises."""
        try:
            with exits_raised():
                self.check(self.prepare())
        except unittest.SkipTest as skipped:
            return Result("skipped", str(skipped))
        except (Exception, SystemExit) as error:  # noqa: BLE001  a stranger's code may raise anything
            return Result("failed", told(error, self.module))
        return Result("passed")


def told(error: BaseException, module: str) -> str:
    """An exception in one line: its last line, and the plugin's own where it came through one."""
    lines = str(error).strip().splitlines() or [""]
    text = lines[-1].strip() if len(lines) > 1 else lines[0]
    if not isinstance(error, (AssertionError, HandboneError)):
        text = f"{type(error).__name__}: {text}".removesuffix(": ")
    place = place_of(error, module)
    return f"{text or type(error).__name__}{f' ({place})' if place else ''}"


def checks_of(word: str, kind: str | None = None, name: str | None = None) -> list[Case]:
    """Every check of a plugin, for a test to be parametrized with.

    Usage: `@pytest.mark.parametrize("case", checks_of("handbone-example"), ids=str)`, and in the
    test `case()`.

    Args:
        word: the name of an installed distribution or of a module, or a folder of sources.
        kind: only components of this kind, such as `models`.
        name: only components of this name.

    Raises:
        HandboneError: there is no such plugin, or no such component in it.
    """
    stack = contextlib.ExitStack()
    atexit.register(stack.close)
    return cases_of(locate(word, stack), kind, name)


def cases_of(plugin: Plugin, kind: str | None = None, name: str | None = None) -> list[Case]:
    """The cases of a plugin's modules, where nothing is left out, then those of its components.

    Raises:
        HandboneError: no component is of this kind or name.
    """
    loads = functools.cache(lambda: measure([point.value for point in plugin.modules]))
    chosen = [
        (point.module, component)
        for point, own in plugin.modules.items()
        for component in own.all()
        if kind in {None, component.kind} and name in {None, component.name}
    ]
    whole = kind is None and name is None
    if not chosen and not whole:
        raise HandboneError(_nothing_found(plugin, kind, name))
    found: list[Case] = []
    for point, own in plugin.modules.items() if whole else ():
        found += _cases_of_module(point, own, loads)
    for module, component in chosen:
        trial = Trial(component, plugin.registry, brief=len(chosen) > MANY)
        found += _cases_of_component(trial, module, loads)
    return found


def _cases_of_module(point: EntryPoint, own: Registry, loads: Callable[[], Loads]) -> list[Case]:
    def prepare() -> registration.TriedModule:
        api = None if own.broken else declared_api(point, point.load())
        return registration.TriedModule(own, api, lambda: loads().modules[point.value])

    return [
        Case(MODULE, point.module, check, prepare, point.module)
        for check in registration.MODULE_CHECKS
    ]


def _cases_of_component(trial: Trial, module: str, loads: Callable[[], Loads]) -> list[Case]:
    component = trial.component
    kind, name = component.kind, component.name

    def registered() -> registration.TriedRegistration:
        return registration.TriedRegistration(component, loads().options.get(f"{kind} {name}", {}))

    module_of_kind = importlib.import_module(f"{CONFORMANCE}.{kind}")
    choose = getattr(module_of_kind, "checks_of", None)
    checks = choose(trial) if choose else module_of_kind.CHECKS
    return [
        *(Case(kind, name, c, registered, module) for c in registration.REGISTRATION_CHECKS),
        Case(kind, name, builds, lambda: trial, module),
        *(Case(kind, name, check, functools.partial(_prepared, trial), module) for check in checks),
    ]


@functools.lru_cache(maxsize=1)
def _prepared(trial: Trial) -> Any:
    """What the checks of a kind are called with; only the last one is kept: models are large."""
    if trial.failed:
        raise unittest.SkipTest("it cannot be built")
    try:
        return importlib.import_module(f"{CONFORMANCE}.{trial.component.kind}").prepare(trial)
    except BaseException:
        trial.failed = True
        raise


def _nothing_found(plugin: Plugin, kind: str | None, name: str | None) -> str:
    names = [c.name for own in plugin.modules.values() for c in own.all() if kind in {None, c.kind}]
    what = f"no {KINDS[kind]}" if kind else "no component"
    return f"{plugin.name} has {what}{f' called {name!r}. {closest(name, names)}' if name else '.'}"


def run(cases: Iterable[Case]) -> Iterator[tuple[Case, Result]]:
    """Run cases one after the other; of a component that cannot be built, none that try it."""
    unbuilt: tuple[str, str] | None = None
    for case in cases:
        if unbuilt == (case.kind, case.name):
            continue
        result = case.result()
        if case.check is builds and result.outcome != "passed":
            unbuilt = (case.kind, case.name)
        yield case, result


def builds(trial: Trial) -> None:
    """It is built from its defaults, or from the example that it is registered with."""
    try:
        _prepared(trial)
    except HandboneError as error:
        if trial.component.example is None:
            raise unittest.SkipTest(f"{error} Registered with an `example`, it is tried.") from None
        raise
