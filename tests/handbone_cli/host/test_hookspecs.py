from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.hookspecs import (
    API_VERSION,
    KINDS,
    OLDEST_API,
    PROJECT,
    HandboneSpecs,
    Register,
    find_kind,
    hookimpl,
    singular,
)
from handbone_cli.host.registry import Component, _register


def test_there_is_one_typed_hook_a_kind():
    hooks = {name for name in vars(HandboneSpecs) if name.startswith("handbone_")}
    assert hooks == {f"handbone_{kind}" for kind in KINDS}
    for name in hooks:
        hook = getattr(HandboneSpecs, name)
        assert hasattr(hook, f"{PROJECT}_spec")
        assert list(inspect.signature(hook).parameters) == ["self", "register"]
        assert "build(options, " in hook.__doc__


def test_the_marker_is_that_of_our_project():
    assert hasattr(hookimpl(lambda register: None), "handbone_impl")


@pytest.mark.parametrize(
    ("word", "kind"),
    [
        ("models", "models"),
        ("model", "models"),
        ("loss", "losses"),
        ("tta", "tta"),
        ("TTA transform", "tta"),
        ("post-processor", "postprocessors"),
        ("postprocessor", "postprocessors"),
        ("preprocessor", "preprocessors"),
        ("dataset", "datasets"),
    ],
)
def test_a_kind_by_any_of_its_names(word, kind):
    assert find_kind(word) == kind


def test_an_unknown_kind_is_answered_with_the_closest():
    with pytest.raises(
        HandboneError, match=r"^no kind of plugin is called 'modl'\. Did you mean 'mo"
    ):
        find_kind("modl")


def test_one_of_a_kind_is_one_word_and_finds_it():
    assert [find_kind(singular(kind)) for kind in KINDS] == list(KINDS)
    assert all(singular(kind).isidentifier() for kind in KINDS)


def test_what_is_promised_of_register_is_what_it_takes_and_keeps():
    promised = inspect.signature(Register.__call__).parameters
    taken = inspect.signature(_register).parameters
    named = [name for name, p in promised.items() if p.kind is p.KEYWORD_ONLY]
    assert named == [name for name, p in taken.items() if p.kind is p.KEYWORD_ONLY]
    assert set(named) <= {each.name for each in fields(Component)}
    for name in named:
        assert promised[name].default == taken[name].default
        assert f"            {name}: " in Register.__call__.__doc__


def test_the_version():
    assert 1 <= OLDEST_API <= API_VERSION
