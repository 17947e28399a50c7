from __future__ import annotations

import inspect

from handbone_cli.host.hookspecs import KINDS, PROJECT, HandboneSpecs, hookimpl


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
