from __future__ import annotations

import json
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler

import pytest
from torch import nn

from handbone_cli.commands.wiring import model_costs
from handbone_cli.data import processes
from handbone_cli.errors import HandboneError
from handbone_cli.host import registry as registry_module
from handbone_cli.host.interfaces import Options
from handbone_cli.host.registry import Component, Registry, installed
from handbone_cli.networks.cost import SIDE, ModelCost
from handbone_cli.networks.cost_cache import CostCache
from handbone_cli.testing import hb

PIXELS = SIDE * SIDE
COST = ModelCost(parameters=10**7, macs=2, memory=3, batch=1, divisor=4, minimum=5)


class Small(Options):
    """Options of the models here."""

    width: int = 2
    """Channels between."""
    pretrained: bool = False
    """Start from weights."""


def build_small(options, context):
    first = nn.Conv2d(1, options.width, 1)
    return nn.Sequential(first, nn.Conv2d(options.width, context.classes, 1))


def build_large(options, context):
    return nn.Conv2d(1, context.classes, 5, padding=2)


def build_broken(options, context):
    raise HandboneError("it needs a library.")


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDBONE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def zoo(cache, monkeypatch):
    """Three models of another distribution in place of those that are installed."""
    registry = Registry()
    for name, build, options in (
        ("net_small", build_small, Small),
        ("net_large", build_large, None),
        ("odd", build_broken, None),
    ):
        registry.add(
            Component("models", name, build, options, f"{name}.", 4, "odd-nets", "2.0", "arXiv:1.2")
        )
    monkeypatch.setattr(registry_module, "installed", lambda: registry)
    return registry


def rows(*arguments):
    done = hb("models", "list", "--json", *arguments)
    assert done.code == 0, done.err
    return json.loads(done.out)


def names(*arguments):
    return [row["name"] for row in rows(*arguments)]


def test_a_list_with_a_model_that_cannot_be_built(zoo):
    done = hb("models", "list")
    table, meaning = done.out.split("\n\n")
    assert done.code == 0
    assert [line.split() for line in table.splitlines()] == [
        ["model", "params", "GMACs", "GiB", "pretrained", "arXiv"],
        ["net_large", "0.0", "M", "0.8", "0.6", "no", "1.2"],
        ["net_small", "0.0", "M", "0.1", "0.6", "yes", "1.2"],
        ["odd", "-", "-", "-", "no", "1.2"],
    ]
    assert meaning.startswith("GMACs of a forward pass, GiB of a training step")
    assert meaning.endswith(
        "\nfrom odd-nets 2.0: net_large, net_small, odd\nodd: it needs a library.\n"
    )
    assert "Measuring models: 3/3 models in" in done.err


def test_json(zoo):
    large, small, odd = rows()
    assert small == {
        "name": "net_small",
        "parameters": 4 + 3 * 29,
        "macs": PIXELS * (2 + 2 * 29),
        "memory_bytes": small["memory_bytes"],
        "batch": 1,
        "divisor": 4,
        "minimum": 4,
        "pretrained": True,
        "paper": "arXiv:1.2",
        "distribution": "odd-nets",
        "version": "2.0",
        "reason": "",
    }
    assert small["memory_bytes"] > 4 * PIXELS * 29 * 5
    assert large["macs"] == 25 * 29 * PIXELS
    figures = ("parameters", "macs", "memory_bytes", "batch", "divisor", "minimum")
    assert [odd[key] for key in figures] == [None] * 6
    assert odd["reason"] == "it needs a library."


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["net_large", "net_small", "odd"]),
        ("params", ["net_small", "net_large", "odd"]),
        ("macs", ["net_small", "net_large", "odd"]),
        ("memory", ["net_large", "net_small", "odd"]),
    ],
)
def test_order(zoo, sort, expected):
    assert names("--sort", sort) == expected


def test_a_family_is_a_name_and_what_begins_so(zoo):
    assert names("--family", "net") == ["net_large", "net_small"]
    assert names("--family", "net_small") == ["net_small"]
    done = hb("models", "list", "--family", "ne")
    assert (done.code, done.out) == (1, "")
    assert done.err == ("hb: no model's name begins with 'ne'. Known: net_large, net_small, odd.\n")


def test_what_is_known_is_not_measured_again(zoo, cache, monkeypatch):
    measured = []

    def measure(component, options):
        measured.append(component.name)
        return ModelCost(parameters=len(measured), macs=1, memory=1, batch=1, divisor=1, minimum=1)

    monkeypatch.setattr(model_costs, "measure_cost", measure)
    first = rows()
    assert (measured, len(list(cache.iterdir()))) == (["net_large", "net_small", "odd"], 3)
    assert rows() == first
    assert len(measured) == 3
    assert hb("models", "show", "net_small", "--json").code == 0
    assert len(measured) == 3
    assert [row["parameters"] for row in rows("--refresh")] == [4, 5, 6]
    assert rows("--family", "odd")[0]["parameters"] == 6


def test_a_model_that_failed_is_tried_again(zoo, monkeypatch):
    assert rows()[2]["reason"] == "it needs a library."
    monkeypatch.setitem(zoo.components["models"], "odd", zoo.get("models", "net_large"))
    assert rows()[2]["reason"] == ""


def test_ctrl_c_loses_nothing(zoo, cache, monkeypatch):
    measure = model_costs.measure_cost

    def interrupted(component, options):
        if component.name == "net_small":
            raise KeyboardInterrupt
        return measure(component, options)

    monkeypatch.setattr(model_costs, "measure_cost", interrupted)
    assert hb("models", "list").code == 130
    assert [path.name.split("-")[3] for path in cache.iterdir()] == ["net_large"]


def test_broken_entries_are_measured_anew(zoo, cache):
    first = rows()
    for path in cache.iterdir():
        path.write_text("{}")
    assert rows() == first


def test_a_cache_that_cannot_be_written_stops_nothing(zoo, cache):
    cache.parent.parent.mkdir(exist_ok=True)
    cache.parent.write_text("a file")
    done = hb("models", "list", "--family", "net")
    assert (done.code, len(done.out.splitlines())) == (0, 9)
    assert done.err.startswith(f"figures are not kept: {cache}: cannot write there: ")
    assert done.err.count("figures are not kept") == 1


def test_plugins_that_raise_anything_are_a_line_each(zoo, monkeypatch):
    def explode(options, context):
        raise RuntimeError("first\nsecond")

    def options(component):
        if component.name == "net_small":
            raise RuntimeError("options explode")
        return kept(component)

    kept = Component.options_type
    monkeypatch.setattr(Component, "options_type", options)
    zoo.components["models"]["odd"] = Component(
        "models", "odd", explode, None, "", 1, "odd-nets", "2.0"
    )
    found = rows()
    assert [row["reason"] for row in found] == [
        "",
        "RuntimeError: options explode",
        "model 'odd' of odd-nets 2.0 cannot be built: RuntimeError: first.",
    ]
    assert hb("models", "list").code == 0


def test_show_says_what_plugins_show_says_and_the_figures(zoo):
    done = hb("models", "show", "net_small", "--set", "width=3")
    lines = done.out.splitlines()
    described = hb("plugins", "show", "net_small").out.splitlines()
    assert done.code == 0
    assert lines[: len(described)] == described
    figures = dict(line.split(maxsplit=1) for line in lines[len(described) :])
    assert figures["parameters"] == f"{6 + 4 * 29:,} (0.0 M)"
    assert lines[len(described) + 2] == "forward pass   0.1 GMACs, 1 image"
    assert figures["divisor"].startswith("4 px")


def test_show_takes_options_as_a_recipe_does(zoo):
    def macs(*arguments):
        return json.loads(hb("models", "show", "net_small", "--json", *arguments).out)["macs"]

    assert macs() == PIXELS * (2 + 2 * 29)
    assert macs("--set", "width=5", "--set", "pretrained=true") == PIXELS * (5 + 5 * 29)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["net"], "hb: no model is named 'net'. Did you mean 'net_small'?"),
        (["odd"], "hb: it needs a library."),
        (
            ["net_small", "--set", "widht=3"],
            "hb: model 'net_small', option 'widht': Extra inputs are not permitted. Did you mean",
        ),
        (["net_small", "--set", "width"], "hb: --set width: expected KEY=VALUE"),
        (["net_small", "--set", "width=wide"], "hb: model 'net_small', option 'width': Input"),
    ],
)
def test_mistakes_are_one_sentence(zoo, arguments, sentence):
    done = hb("models", "show", *arguments)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(sentence)


def test_the_known_list_prints_without_torch(cache):
    """In a Python of its own, with a made-up cost for every model that is installed."""
    for component in installed().components["models"].values():
        CostCache(cache).put(component, component.options_type()(), COST)
    code = """
import sys
from handbone_cli.cli import run
code = run(["models", "list"])
sys.exit(f"{code} " + str([name for name in ("torch", "timm") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "0 []"
    assert [line.split()[0] for line in done.stdout.split("\n\n")[0].splitlines()[1:]] == (
        installed().names("models")
    )


@pytest.mark.parametrize(("count", "workers"), [(7, 1), (8, 2), (11, 2), (40, 3)])
def test_many_models_are_measured_in_processes(zoo, cache, monkeypatch, count, workers):
    """The processes themselves are those of `hb data`; here their work stays in this one."""
    used = []

    def run(work, jobs, workers):
        used.append(workers)
        if workers > 1:
            work = ForkingPickler.loads(bytes(ForkingPickler.dumps(work)))
        return map(work, jobs)

    monkeypatch.setattr(processes, "default_workers", lambda: 3)
    monkeypatch.setattr(processes, "map_in_processes", run)
    monkeypatch.setattr(model_costs, "measure_cost", lambda component, options: COST)
    zoo.add(Component("models", "local", lambda o, c: None, None, "", 1, "odd-nets", "2.0"))
    wanted = [f"net_{number}" for number in range(count)]
    for name in wanted:
        zoo.add(Component("models", name, build_large, None, "", 1, "odd-nets", "2.0"))
    assert model_costs.find_costs(zoo, wanted, refresh=False) == dict.fromkeys(wanted, COST)
    assert used == [workers]
    assert len(list(cache.iterdir())) == count


def test_the_plan_is_a_command_of_the_group():
    assert hb("models", "plan", "--help").out.startswith("Usage: hb models plan ")
