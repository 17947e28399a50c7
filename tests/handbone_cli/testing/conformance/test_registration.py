from __future__ import annotations

import unittest

import pytest
from pydantic import BaseModel, Field, field_validator

from handbone_cli.host.interfaces import Options
from handbone_cli.host.registry import BrokenPlugin, Component, Registry
from handbone_cli.testing.conformance import registration


def component(options=None, summary="a thing"):
    return Component("models", "thing", "m:build", options, summary, 1, "acme", "1.0")


def module(*, broken=(), components=True, api=1, loads=None):
    registry = Registry(broken=list(broken))
    if components:
        registry.add(component())
    return registration.TriedModule(registry, api, lambda: loads or {})


BROKEN = BrokenPlugin("acme", "acme_plugin", "ValueError: no", "acme_plugin.py:3")


def run(checks, tried):
    """What each check says: '' for nothing."""
    found = {}
    for check in checks:
        try:
            check(tried)
            found[check.__name__] = ""
        except (AssertionError, unittest.SkipTest) as error:
            found[check.__name__] = str(error)
    return found


def test_a_sound_module():
    assert run(registration.MODULE_CHECKS, module()) == {"loads": "", "api": "", "light": ""}


def test_a_broken_module_is_told_once():
    assert run(registration.MODULE_CHECKS, module(broken=[BROKEN])) == {
        "loads": "acme_plugin cannot be loaded: ValueError: no (acme_plugin.py:3)",
        "api": "the module cannot be loaded",
        "light": "the module cannot be loaded",
    }


def test_modules_that_are_wrong():
    assert run(registration.MODULE_CHECKS, module(components=False))["loads"].startswith(
        "it registers nothing; mark a function with @hookimpl that is called one of handbone_"
    )
    assert run(registration.MODULE_CHECKS, module(api=None))["api"].startswith(
        "no HANDBONE_API: write `HANDBONE_API = 1` into the module"
    )
    heavy = module(loads={"torch": "acme.py:4"})
    assert run(registration.MODULE_CHECKS, heavy)["light"].startswith(
        "importing it loads torch (acme.py:4): move that import into the function"
    )


class Good(Options):
    width: int = Field(3, ge=1, description="channels")
    title: str = Field(description="required")


class Bare(Options):
    width: int = 3


class Refused(Options):
    width: int = Field(0, ge=1, description="channels")
    title: str = Field(description="required")


class Typed(Options):
    width: int = Field("many", description="channels")


class Contradiction(Options):
    """Its default is refused by a validator of its own."""

    size: int = Field(2, description="odd")

    @field_validator("size")
    @classmethod
    def _odd(cls, size):
        if size % 2 == 0:
            raise ValueError("expected an odd number")
        return size


class Foreign(BaseModel):
    width: int = 3


def told(**details):
    loads = details.pop("loads", {})
    tried = registration.TriedRegistration(component(**details), loads)
    return run(registration.REGISTRATION_CHECKS, tried)


@pytest.mark.parametrize("options", [None, Good])
def test_a_sound_registration(options):
    assert told(options=options) == {"summary": "", "options": ""}


@pytest.mark.parametrize("summary", ["", " ", "two\nlines", "x" * 101])
def test_summaries(summary):
    assert told(summary=summary)["summary"].startswith(f"summary is {summary!r}; expected one line")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Bare, "option 'width' is not described: write a docstring below it"),
        (Refused, "its own default is refused: width: Input should be greater than or equal to 1"),
        (Typed, "its own default is refused: width: Input should be a valid integer"),
        (Contradiction, "its own default is refused: size: Value error, expected an odd number"),
        (Foreign, "no subclass of handbone_cli.Options"),
        (dict, "options is <class 'dict'>, no subclass of handbone_cli.Options"),
    ],
)
def test_options(options, words):
    assert words in told(options=options)["options"]


def test_options_that_load_torch():
    assert told(loads={"torch": "acme.py:2"})["options"].startswith(
        "its options load torch (acme.py:2), and recipes are checked without it"
    )
    assert not told(loads={"cv2": "acme.py:2"})["options"]
