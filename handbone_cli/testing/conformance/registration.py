"""What every plugin module and every registration must do, before anything is built."""

from __future__ import annotations

import unittest
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from handbone_cli.host.hookspecs import API_VERSION, KINDS
from handbone_cli.host.interfaces import Options
from handbone_cli.testing.lightness import FRAMEWORKS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from handbone_cli.host.registry import Component, Registry

LONGEST = 100
"""Characters of a summary: a line of `hb plugins list`."""


@dataclass(frozen=True, eq=False)
class TriedModule:
    """What an entry point names, as it was loaded.

    Attributes:
        registered: its components, and what of it could not be loaded.
        api: its HANDBONE_API.
        loads: measures which heavy libraries it loads, and in which line.
    """

    registered: Registry
    api: object
    loads: Callable[[], Mapping[str, str]]


@dataclass(frozen=True, eq=False)
class TriedRegistration:
    """A component as it was registered.

    Attributes:
        component: the component.
        loads: the heavy libraries that its options' class loads, and in which line.
    """

    component: Component
    loads: Mapping[str, str]

    def options(self) -> type[Options]:
        """The class of its options; AssertionError if it is none."""
        found: Any = self.component.options_type()
        if not (isinstance(found, type) and issubclass(found, Options)):
            sentence = f"options is {found!r}, no subclass of handbone_cli.Options"
            raise AssertionError(sentence)  # noqa: TRY004  a check failed
        return found


def loads(tried: TriedModule) -> None:
    """The module is imported, its hooks are known and register something."""
    for broken in tried.registered.broken:
        place = f" ({broken.place})" if broken.place else ""
        raise AssertionError(f"{broken.entry_point} cannot be loaded: {broken.reason}{place}")
    if not tried.registered.all():
        hooks = ", ".join(f"handbone_{kind}" for kind in KINDS)
        raise AssertionError(
            f"it registers nothing; mark a function with @hookimpl that is called one of {hooks}"
        )


def api(tried: TriedModule) -> None:
    """It says for which version of the plugin interface it was written."""
    _skip_if_broken(tried)
    if tried.api is None:
        raise AssertionError(
            f"no HANDBONE_API: write `HANDBONE_API = {API_VERSION}` into the module, so that a "
            "handbone that cannot work with it says so"
        )


def light(tried: TriedModule) -> None:
    """Importing it and registering loads no heavy library: `hb` asks every plugin at each start."""
    _skip_if_broken(tried)
    for name, place in tried.loads().items():
        raise AssertionError(
            f"importing it loads {name} ({place}): move that import into the function that needs "
            "it, or register by path"
        )


MODULE_CHECKS = (loads, api, light)


def summary(tried: TriedRegistration) -> None:
    """It says in one line what it is, for `hb plugins list`."""
    text = tried.component.summary
    if not text.strip() or "\n" in text or len(text) > LONGEST:
        raise AssertionError(
            f"summary is {text!r}; expected one line of up to {LONGEST} characters"
        )


def options(tried: TriedRegistration) -> None:
    """Every option is described, has a valid default or is required, and needs no torch."""
    for name, place in tried.loads.items():
        if name in FRAMEWORKS:
            raise AssertionError(
                f"its options load {name} ({place}), and recipes are checked without it: put the "
                "class in a module that does not import it"
            )
    fields = tried.options().model_fields
    bare = [name for name, field in fields.items() if not field.description]
    if bare:
        raise AssertionError(
            f"option '{bare[0]}' is not described: write a docstring below it, or "
            f"Field(description=...); `hb plugins show {tried.component.name}` prints it"
        )
    _require_valid_defaults(tried.options())


REGISTRATION_CHECKS = (summary, options)


def _skip_if_broken(tried: TriedModule) -> None:
    if tried.registered.broken:
        raise unittest.SkipTest("the module cannot be loaded")


def _require_valid_defaults(found: type[Options]) -> None:
    """Pydantic checks what a recipe says, but no default."""
    defaults = {
        field.alias or name: field.get_default(call_default_factory=True)
        for name, field in found.model_fields.items()
        if not field.is_required()
    }
    try:
        found.model_validate(defaults)
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] != "missing":
                key = ".".join(str(part) for part in problem["loc"]) or "together"
                raise AssertionError(
                    f"its own default is refused: {key}: {problem['msg']}"
                ) from None
