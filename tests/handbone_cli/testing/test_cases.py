from __future__ import annotations

import contextlib
import gc
import os
import types
import unittest
import weakref

import pytest
import torch

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import Options
from handbone_cli.host.registry import Component, Registry
from handbone_cli.testing import cases, checks_of
from handbone_cli.testing.cases import Case, Result, cases_of, run, told
from handbone_cli.testing.plugin import Plugin
from handbone_cli.testing.trial import Trial


class Point:
    """An entry point of a distribution that was never installed."""

    module = value = "acme_views"

    def load(self):
        return types.SimpleNamespace(HANDBONE_API=1)


POINT = Point()


class FactorOptions(Options):
    factor: float


class View:
    def augment(self, images):
        return images

    def restore(self, maps, size):
        return maps


def view(build=lambda options, context: View(), name="plain", kind="tta", **details):
    facts = {"options": None, "summary": "a view", "divisor": 1, **details}
    return Component(kind, name, build, distribution="acme", version="1.0", **facts)


def plugin(*components):
    registry = Registry()
    for component in components:
        registry.add(component)
    return Plugin("acme", "1.0", {POINT: registry}, registry)


@pytest.fixture(autouse=True)
def light(monkeypatch):
    """Nothing is measured in another process."""
    loads = cases.Loads({"acme_views": {}}, {})
    monkeypatch.setattr(cases, "measure", lambda values: loads)


def refuse(options, context):
    raise HandboneError("acme needs a licence.")


def fail(options, context):
    raise ValueError("a long story:\nthe end")


def test_the_cases_of_a_plugin():
    found = cases_of(plugin(view()))
    assert [str(case) for case in found] == [
        *(f"module-acme_views-{check}" for check in ("loads", "api", "light")),
        *(f"tta-plain-{check}" for check in ("summary", "options", "builds")),
        *(f"tta-plain-{check}" for check in ("shapes", "inverse", "whole", "mirrored")),
        *(f"tta-plain-{check}" for check in ("inputs", "batch", "gpu")),
    ]
    assert all(case.promise.endswith((".", "!")) or ":" in case.promise for case in found)
    assert found[3].promise == "It says in one line what it is, for `hb plugins list`."
    assert found[3].subject == "TTA transform 'plain'"


def test_a_choice_of_components():
    several = plugin(view(), view(name="other"), view(kind="losses"))
    assert {(c.kind, c.name) for c in cases_of(several, "tta")} == {
        ("tta", "plain"),
        ("tta", "other"),
    }
    assert {(c.kind, c.name) for c in cases_of(several, None, "plain")} == {
        ("tta", "plain"),
        ("losses", "plain"),
    }
    with pytest.raises(HandboneError) as caught:
        cases_of(several, "tta", "plane")
    assert str(caught.value) == (
        "acme has no TTA transform called 'plane'. Did you mean 'plain'? Known: other, plain."
    )
    with pytest.raises(HandboneError, match=r"^acme has no model\.$"):
        cases_of(several, "models")


def test_a_component_that_cannot_be_built_is_told_of_once():
    found = cases_of(plugin(view(fail), view(name="sound")), "tta")
    results = {(c.name, c.check.__name__): r for c, r in run(found)}
    assert results["plain", "builds"] == Result("failed", "ValueError: the end")
    assert {name for n, name in results if n == "plain"} == {"summary", "options", "builds"}
    assert results["sound", "inverse"].outcome == "passed"
    alone = next(case for case in found if str(case) == "tta-plain-shapes")
    assert alone.result() == Result("skipped", "it cannot be built")


def test_without_an_example_what_asks_for_more_is_skipped():
    (skipped,) = [
        r for c, r in run(cases_of(plugin(view(refuse)), "tta")) if c.check is cases.builds
    ]
    assert skipped == Result(
        "skipped", "acme needs a licence. Registered with an `example`, it is tried."
    )
    required = view(options=FactorOptions)
    (skipped,) = [r for c, r in run(cases_of(plugin(required), "tta")) if c.check is cases.builds]
    assert skipped.reason.startswith("TTA transform 'plain', option 'factor': Field required.")


def test_with_an_example_it_is_tried_with_that():
    good = plugin(view(options=FactorOptions, example={"factor": 2}))
    assert {case.check.__name__: r.outcome for case, r in run(cases_of(good, "tta"))} == {
        **dict.fromkeys(("summary", "shapes", "inverse", "whole", "mirrored"), "passed"),
        **dict.fromkeys(("inputs", "batch", "builds"), "passed"),
        "options": "failed",  # not described
        "gpu": "passed" if torch.cuda.is_available() else "skipped",
    }
    (failed,) = [
        r
        for c, r in run(cases_of(plugin(view(refuse, example={})), "tta"))
        if c.check is cases.builds
    ]
    assert failed == Result("failed", "acme needs a licence.")
    (wrong,) = [
        r
        for c, r in run(cases_of(plugin(view(example={"factr": 1})), "tta"))
        if c.check is cases.builds
    ]
    assert wrong.reason.startswith("TTA transform 'plain', option 'factr': Extra inputs")


class Net(torch.nn.Conv2d):
    """A sound model whose weights can be told from one seed to the next."""

    def __init__(self, context, wrong=0):
        super().__init__(context.in_channels, context.classes + wrong, 1)


def test_models_among_many_are_tried_by_their_shapes():
    def build(options, context):
        nets.append(Net(context))
        return nets[-1]

    nets = []
    many = [view(name=f"v{index}") for index in range(cases.MANY)]
    among = plugin(view(build, "net", "models"), *many)
    found = {c.check.__name__: r for c, r in run(cases_of(among)) if c.name == "net"}
    assert list(found) == ["summary", "options", "builds", "shapes", "gradients", "numbers"]
    assert found["gradients"].outcome == found["shapes"].outcome == "passed"
    assert found["numbers"] == Result(
        "skipped", "one of many, tried by its shapes; --name net tries it in full"
    )
    assert [each.weight.is_meta for each in nets] == [True]
    full = {c.check.__name__: r.outcome for c, r in run(cases_of(among, None, "net"))}
    assert full["weights"] == full["seeds"] == "passed"
    with_example = plugin(view(build, "net", "models", example={}), *many)
    full = {c.check.__name__ for c in cases_of(with_example) if c.name == "net"}
    assert {"weights", "seeds"} <= full


def test_what_is_wrong_with_a_model_among_many_is_seen_without_numbers():
    def idle(options, context):
        net = Net(context)
        net.unused = torch.nn.Linear(2, 2)
        return net

    many = [view(name=f"v{index}") for index in range(cases.MANY)]
    for build, check, reason in (
        (fail, "builds", "ValueError: the end"),
        (lambda options, context: Net(context, 1), "shapes", "an image gave logits of (1, 4, 64"),
        (idle, "gradients", "no gradient reaches core.unused.weight, core.unused.bias"),
    ):
        results = run(cases_of(plugin(view(build, "net", "models"), *many)))
        failed = {c.check.__name__: r.reason for c, r in results if r.outcome == "failed"}
        assert failed[check].startswith(reason)
        assert next(iter(failed)) == check


def test_only_the_last_component_is_kept():
    """Fifty models would not fit."""
    built = []

    def build(options, context):
        made = View()
        built.append(weakref.ref(made))
        return made

    found = cases_of(plugin(view(build, "first"), view(build, "second")), "tta")
    assert {result.outcome for _, result in run(found)} <= {"passed", "skipped"}
    gc.collect()
    assert [made() is None for made in built] == [True, False]


def case(check):
    return Case("tta", "plain", check, lambda: None, "acme_views")


def test_to_call_a_case_is_to_run_it():
    def passes(tried):
        pass

    def fails(tried):
        raise AssertionError("no good")

    def skips(tried):
        raise unittest.SkipTest("no GPU here")

    case(passes)()
    with pytest.raises(AssertionError, match=r"^TTA transform 'plain', fails: no good$"):
        case(fails)()
    with pytest.raises(unittest.SkipTest, match="no GPU here"):
        case(skips)()


def test_a_plugin_that_wants_to_leave_is_a_failure():
    def leaves(tried):
        raise SystemExit(3)

    def stops(tried):
        raise KeyboardInterrupt

    def leaves_at_once(tried):
        os._exit(0)

    assert case(leaves).result() == Result("failed", "SystemExit: 3")
    assert case(leaves_at_once).result() == Result("failed", "SystemExit: os._exit(0)")
    with pytest.raises(KeyboardInterrupt):
        case(stops).result()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("one"), "ValueError: one"),
        (ValueError("one\n  two  \n"), "ValueError: two"),
        (ValueError(), "ValueError"),
        (AssertionError("one"), "one"),
        (AssertionError(), "AssertionError"),
        (HandboneError("a.toml: no."), "a.toml: no."),
    ],
)
def test_an_exception_in_one_line(error, sentence):
    assert told(error, "acme_views") == sentence


def test_the_plugins_own_line_is_told(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "acme_lines.py").write_text(
        "import json\n\ndef check(tried):\n    json.loads('{')\n"
    )
    import acme_lines

    result = Case("tta", "plain", acme_lines.check, lambda: None, "acme_lines").result()
    assert result.reason.startswith("JSONDecodeError: Expecting property name")
    assert result.reason.endswith(" (acme_lines.py:4)")


def test_an_example_is_options_or_what_makes_them(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "acme_example.py").write_text(
        "def make(folder):\n    (folder / 'a').write_text('1')\n    return {'factor': 3}\n"
    )
    import acme_example

    for example in ("acme_example:make", acme_example.make):
        trial = Trial(view(example=example), Registry())
        assert trial.options == {"factor": 3}
        assert (trial.folder / "a").read_text() == "1"
        folder = trial.folder
        del trial
        gc.collect()
        assert not folder.exists()
    assert Trial(view(), Registry()).options == {}
    with pytest.raises(HandboneError, match=r"example = 'acme_example:mak' cannot be loaded: "):
        _ = Trial(view(example="acme_example:mak"), Registry()).options


def test_checks_of_finds_them_by_name():
    found = checks_of("handbone", "tta", "hflip")
    with contextlib.suppress(unittest.SkipTest):
        for each in found:
            each()
    assert len(found) == 10
