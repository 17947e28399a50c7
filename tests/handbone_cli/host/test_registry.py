from __future__ import annotations

import sys
import types
from importlib.metadata import EntryPoint, entry_points

import pytest

from handbone_cli import hookimpl
from handbone_cli.errors import HandboneError
from handbone_cli.host.hookspecs import KINDS, RESERVED
from handbone_cli.host.interfaces import NoOptions, Options
from handbone_cli.host.registry import (
    Registry,
    collect,
    declared_api,
    find_entry_points,
    installed,
)
from handbone_cli.recipe.schema import MODEL_KEYS, Data
from handbone_losses.options import Term


class Point:
    """An entry point of a distribution that was never installed."""

    def __init__(self, load, distribution="acme", version="1.0"):
        self.name, self.value, self.load = "models", f"{distribution}_plugin", load
        self.dist = types.SimpleNamespace(name=distribution, version=version)


class WidthOptions(Options):
    width: int = 3
    depth: int = 1


def build_pair(options, context):
    return options, context


def plugin(register_all, hook="handbone_models"):
    """A module whose hook calls `register_all(register)`."""

    def implementation(register):
        register_all(register)

    module = types.ModuleType("acme_plugin")
    setattr(module, hook, hookimpl(implementation))
    return module


def point(register_all, *distribution, hook="handbone_models"):
    return Point(lambda: plugin(register_all, hook), *distribution)


def registering(*names, **details):
    def register_all(register):
        for name in names:
            register(name, build_pair, **details)

    return register_all


GOOD = point(registering("good"), "good_dist")


def said(call, *arguments):
    with pytest.raises(HandboneError) as caught:
        call(*arguments)
    return str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_first_party_components_found_by_entry_point(kind):
    registry = installed()
    components = [registry.get(kind, name) for name in registry.names(kind)]
    ours = [each for each in components if each.distribution == "handbone"]
    assert ours
    for component in ours:
        assert component.kind == kind
        assert component.summary
        assert isinstance(component.factory, str), "nothing is imported before it is built"
    assert not [broken for broken in registry.broken if broken.distribution == "handbone"]


def test_installed_looks_once_and_in_our_group():
    assert installed() is installed()
    found = {point.dist.name for point in entry_points(group="handbone")}
    assert "handbone" in found


@pytest.mark.parametrize("kind", KINDS)
def test_a_hook_registers_components_of_its_kind(kind):
    registry = collect([point(registering("thing"), "acme", "2.1", hook=f"handbone_{kind}")])
    assert {k: registry.names(k) for k in KINDS} == {
        k: ["thing"] if k == kind else [] for k in KINDS
    }
    component = registry.get(kind, "thing")
    assert (component.kind, component.distribution, component.version) == (kind, "acme", "2.1")


def test_every_hook_is_called_once():
    calls = []
    collect([point(calls.append), GOOD, point(registering("other"))])
    assert len(calls) == 1


def test_a_name_that_is_taken_names_both_distributions():
    points = [point(registering("net"), "first", "1.2"), point(registering("net"), "second", "3.4")]
    assert said(collect, points) == (
        "model 'net' is registered twice, by first 1.2 and by second 3.4; uninstall one of them."
    )


def test_one_name_may_stand_for_two_kinds():
    points = [
        point(registering("scale"), "first", hook="handbone_tta"),
        point(registering("scale"), "second", hook="handbone_losses"),
    ]
    registry = collect(points)
    assert (registry.names("tta"), registry.names("losses")) == (["scale"], ["scale"])


@pytest.mark.parametrize(
    "name", ["UNet", "u-net", "2net", "_net", "net_", "net__b", "", "n\u00e9t"]
)
def test_a_name_is_lower_snake(name):
    assert said(collect, [point(registering(name))]) == (
        f"acme registers model '{name}': a name must be lower_snake."
    )


@pytest.mark.parametrize("name", ["nnunet", "hrnet_w48", "u2"])
def test_lower_snake_names_are_taken(name):
    assert collect([point(registering(name))]).names("models") == [name]


def test_a_broken_import_is_noted_and_takes_no_other_down():
    def load():
        raise ImportError("No module named 'acme_missing'")

    registry = collect([Point(load, "acme"), GOOD])
    assert registry.names("models") == ["good"]
    (broken,) = registry.broken
    assert (broken.distribution, broken.entry_point) == ("acme", "acme_plugin")
    assert broken.reason == "ImportError: No module named 'acme_missing'"
    assert said(registry.get, "models", "godo") == (
        "no model is named 'godo'. Did you mean 'good'? Known: good. "
        "(acme could not be loaded: ImportError: No module named 'acme_missing')"
    )


def test_a_hook_that_raises_is_noted_and_keeps_what_it_registered():
    def register_all(register):
        register("early", build_pair)
        raise ZeroDivisionError("oops")

    registry = collect([point(register_all), GOOD])
    assert registry.names("models") == ["early", "good"]
    assert [(b.distribution, b.entry_point, b.reason) for b in registry.broken] == [
        ("acme", "handbone_models", "ZeroDivisionError: oops")
    ]


def test_a_misspelt_hook_is_noted_with_the_nearest():
    registry = collect([point(registering("x"), hook="handbone_model"), GOOD])
    assert registry.names("models") == ["good"]
    (broken,) = registry.broken
    assert broken.reason.startswith(
        "AttributeError: no hook is named 'handbone_model'. Did you mean 'handbone_models'?"
    )


def test_a_hook_with_other_arguments_is_noted():
    module = types.ModuleType("acme_plugin")
    module.handbone_models = hookimpl(lambda registry: None)
    registry = collect([Point(lambda: module), GOOD])
    assert registry.names("models") == ["good"]
    (broken,) = registry.broken
    assert broken.reason.startswith("PluginValidationError: ")


def test_an_entry_point_without_a_distribution():
    nameless = point(registering("net"))
    nameless.dist = None
    component = collect([nameless]).get("models", "net")
    assert (component.distribution, component.version) == ("unknown", "?")


def test_an_unknown_name_in_an_empty_registry():
    assert said(Registry().get, "models", "x") == "no model is named 'x'. None is known."


def test_building_gives_the_factory_checked_options_and_the_context():
    registry = collect([point(registering("net", options=WidthOptions))])
    context = object()
    options, given = registry.build("models", "net", {"width": "5"}, context)
    assert options == WidthOptions(width=5, depth=1)
    assert given is context


def test_paths_are_imported_when_first_used():
    def register_all(register):
        register("net", "fractions:Fraction", options="handbone_cli.host.interfaces:NoOptions")
        register("plain", "fractions:Fraction")

    registry = collect([point(register_all)])
    for name in ("net", "plain"):
        assert registry.get("models", name).options_type() is NoOptions
        assert registry.get("models", name).builder().__name__ == "Fraction"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"widht": 3},
            (
                "model 'net', option 'widht': Extra inputs are not permitted. "
                "Did you mean 'width'? Known: depth, width."
            ),
        ),
        ({"width": 1.5}, "model 'net', option 'width': Input should be a valid integer"),
    ],
)
def test_wrong_options_are_one_sentence(options, message):
    registry = collect([point(registering("net", options=WidthOptions))])
    text = said(registry.build, "models", "net", options, None)
    assert text.startswith(message)
    assert "\n" not in text


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("acme_missing:build", "No module named 'acme_missing'"),
        ("fractions:build", "module 'fractions' has no attribute 'build'"),
    ],
)
def test_a_path_that_leads_nowhere_names_the_distribution(path, reason):
    registry = collect([point(lambda register: register("net", path))])
    assert said(registry.build, "models", "net", {}, None) == (
        f"model 'net' of acme 1.0 cannot be loaded from '{path}': {reason}. "
        "Reinstall or remove that distribution."
    )


def versioned(api, *distribution, body=None):
    """A plugin whose module says HANDBONE_API = api."""

    def load():
        module = plugin(body or registering("net"))
        module.HANDBONE_API = api
        return module

    return Point(load, *distribution)


@pytest.mark.parametrize("oldest", [1, 0])
def test_a_plugin_of_a_version_that_is_supported(oldest, monkeypatch):
    monkeypatch.setattr("handbone_cli.host.registry.OLDEST_API", oldest)
    assert collect([versioned(oldest)]).names("models") == ["net"]
    assert collect([point(registering("net"))]).names("models") == ["net"]


@pytest.mark.parametrize(
    ("api", "reason"),
    [
        (
            99,
            (
                "it asks for version 99 of handbone's plugin interface and this handbone has 1; "
                "upgrade handbone, or install an older acme"
            ),
        ),
        (
            0,
            (
                "it asks for version 0 of handbone's plugin interface and this handbone's oldest "
                "is 1; upgrade acme"
            ),
        ),
        ("1", "its HANDBONE_API is '1'; expected a whole number, such as 1"),
        (True, "its HANDBONE_API is True; expected a whole number, such as 1"),
    ],
)
def test_a_plugin_of_another_version_is_noted_and_takes_no_other_down(api, reason):
    called = []
    registry = collect([versioned(api, body=called.append), GOOD])
    assert registry.names("models") == ["good"]
    assert [(b.distribution, b.entry_point, b.reason) for b in registry.broken] == [
        ("acme", "acme_plugin", reason)
    ]
    assert called == []
    assert reason in said(registry.get, "models", "net")


def test_an_object_may_stand_for_its_module(tmp_path, monkeypatch):
    """An entry point `module:object`; the module says the version."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "acme_object.py").write_text("HANDBONE_API = 7\nclass plugin: pass\n")
    (broken,) = collect([EntryPoint("a", "acme_object:plugin", "handbone")]).broken
    assert broken.reason.startswith("it asks for version 7 of ")


def test_a_plugin_that_asks_for_what_is_not_there_yet_is_too_new(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    text = "from handbone_cli import Novelty\n\nHANDBONE_API = {api}\n"
    (tmp_path / "acme_novel.py").write_text(text.format(api=99))
    (tmp_path / "acme_wrong.py").write_text(text.format(api=1))
    names = ("acme_novel", "acme_wrong")
    novel, wrong = collect([EntryPoint("a", name, "handbone") for name in names]).broken
    assert novel.reason.startswith("it asks for version 99 of handbone's plugin interface and ")
    assert wrong.reason.startswith("ImportError: cannot import name 'Novelty'")
    assert wrong.place == "acme_wrong.py:1"


def test_the_line_of_a_hook_that_raises(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "acme_hook.py").write_text(
        "from handbone_cli import hookimpl\n\n@hookimpl\ndef handbone_tta(register):\n    x\n"
    )
    (tmp_path / "acme_syntax.py").write_text("x = (\n")
    points = [EntryPoint("a", name, "handbone") for name in ("acme_hook", "acme_syntax")]
    hook, syntax = collect(points).broken
    assert (hook.reason, hook.place) == ("NameError: name 'x' is not defined", "acme_hook.py:5")
    assert (syntax.reason, syntax.place) == (
        "SyntaxError: '(' was never closed (acme_syntax.py, line 1)",
        "",
    )


def test_an_example_is_kept():
    def make(folder):
        return {}

    registry = collect([point(registering("net", example=make))])
    assert registry.get("models", "net").example is make
    assert collect([GOOD]).get("models", "good").example is None


def test_all_are_in_the_order_of_kinds_and_names():
    points = [
        point(registering("b", "a"), "first", hook="handbone_tta"),
        point(registering("c"), "second", hook="handbone_models"),
    ]
    assert [(c.kind, c.name) for c in collect(points).all()] == [
        ("models", "c"),
        ("tta", "a"),
        ("tta", "b"),
    ]


def test_ours_say_their_version():
    from handbone_cli import API_VERSION

    points = [p for p in find_entry_points() if p.dist.name == "handbone"]
    assert {declared_api(point, point.load()) for point in points} == {API_VERSION}
    assert len(points) >= len(KINDS)


class WeightsOptions(Options):
    weights: str = "equal"


def test_an_option_that_no_recipe_could_set_is_refused_when_it_is_registered():
    def register_all(register):
        register("first", build_pair)
        register("heavy", build_pair, options=WeightsOptions)

    registry = collect([point(register_all), GOOD])
    assert registry.names("models") == ["first", "good"]
    (broken,) = registry.broken
    assert broken.reason == (
        "model 'heavy' of acme 1.0 has an option 'weights', a key that recipes keep for "
        "themselves; call it otherwise"
    )
    elsewhere = collect([point(register_all, hook="handbone_trackers")])
    assert (elsewhere.names("trackers"), elsewhere.broken) == (["first", "heavy"], [])


def test_such_an_option_is_refused_by_path_when_it_is_used():
    path = f"{__name__}:WeightsOptions"
    sys.modules[__name__] = types.SimpleNamespace(WeightsOptions=WeightsOptions)
    try:
        registry = collect([point(registering("heavy", options=path))])
        assert registry.broken == []
        assert said(registry.get("models", "heavy").options_type).endswith("call it otherwise.")
    finally:
        del sys.modules[__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_none_of_ours_has_such_an_option(kind):
    for component in installed().components[kind].values():
        component.options_type()


def test_the_keys_of_recipes_are_those_of_the_schema():
    assert set(RESERVED["models"]) == MODEL_KEYS
    assert set(RESERVED["datasets"]) == set(Data.model_fields)
    assert set(RESERVED["losses"]) == set(Term.model_fields) - {"name"}
