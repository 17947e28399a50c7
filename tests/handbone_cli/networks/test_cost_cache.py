from __future__ import annotations

import subprocess
import sys

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import NoOptions, Options
from handbone_cli.host.registry import Component
from handbone_cli.networks import cost_cache
from handbone_cli.networks.cost import ModelCost
from handbone_cli.networks.cost_cache import CostCache

COST = ModelCost(
    parameters=7, macs=8, memory=None, batch=1, divisor=2, minimum=2, reason="none: é\n"
)


class Wide(Options):
    width: int = 4


def component(factory="handbone_cli.networks.build:build", **changes):
    values = {"name": "net", "version": "1.0", "divisor": 8} | changes
    return Component(
        "models", values["name"], factory, None, "", values["divisor"], "odd", values["version"]
    )


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """A package of two modules that can be found; `forget` after an edit, as a new run would."""
    folder = tmp_path / "site" / "tried_plugin"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('imported')")
    (folder / "blocks.py").write_text("WIDTH = 1")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    forget()


def forget():
    for remembered in (cost_cache._versions, cost_cache._source, cost_cache._source_of):
        remembered.cache_clear()


def test_what_is_put_is_got(tmp_path):
    cache = CostCache(tmp_path / "new" / "folder")
    assert cache.get(component(), NoOptions()) is None
    cache.put(component(), NoOptions(), COST)
    assert cache.get(component(), NoOptions()) == COST
    assert [path.name[:12] for path in cache.folder.iterdir()] == ["odd-1.0-net-"]


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({"name": "other"}, Wide()),
        ({"version": "1.1"}, Wide()),
        ({"divisor": 16}, Wide()),
        ({"factory": "handbone_cli.networks.build:build_loss"}, Wide()),
        ({"factory": component}, Wide()),
        ({}, Wide(width=5)),
        ({}, NoOptions()),
    ],
)
def test_another_component_or_other_options_are_another_entry(tmp_path, changes, options):
    cache = CostCache(tmp_path)
    cache.put(component(), Wide(), COST)
    assert cache.get(component(**changes), options) is None
    assert cache.get(component(), Wide(width=4)) == COST


def test_an_edited_plugin_is_another_entry_and_is_not_imported(tmp_path, plugin):
    cache, mine = CostCache(tmp_path / "cache"), component("tried_plugin.blocks:build")
    cache.put(mine, NoOptions(), COST)
    forget()
    assert cache.get(mine, NoOptions()) == COST
    (plugin / "blocks.py").write_text("WIDTH = 2")
    forget()
    assert cache.get(mine, NoOptions()) is None
    (plugin / "blocks.py").write_text("WIDTH = 1")
    forget()
    assert cache.get(mine, NoOptions()) == COST


def test_a_plugin_of_one_file_is_noticed_too(tmp_path, plugin):
    module = plugin.parent / "tried_module.py"
    module.write_text("A = 1")
    cache, mine = CostCache(tmp_path / "cache"), component("tried_module:build")
    cache.put(mine, NoOptions(), COST)
    module.write_text("A = 2")
    forget()
    assert cache.get(mine, NoOptions()) is None


@pytest.mark.parametrize("changed", ["torch", "timm", "handbone", "odd", "its-requirement"])
def test_another_version_is_another_entry(tmp_path, monkeypatch, changed):
    versions = dict.fromkeys(("torch", "timm", "handbone", "odd", "its-requirement"), "1")
    monkeypatch.setattr(cost_cache, "requires", lambda name: ["its-requirement>=1; extra == 'x'"])
    monkeypatch.setattr(cost_cache, "version", lambda name: versions.get(name, "0"))
    forget()
    cache = CostCache(tmp_path)
    cache.put(component(), NoOptions(), COST)
    versions[changed] = "2"
    forget()
    assert cache.get(component(), NoOptions()) is None
    monkeypatch.undo()
    forget()


def test_how_it_is_measured_counts(tmp_path, monkeypatch):
    cache = CostCache(tmp_path)
    before = cache.place(component(), NoOptions())
    forget()
    monkeypatch.setattr(cost_cache, "__file__", str(tmp_path / "networks" / "cost_cache.py"))
    assert cache.place(component(), NoOptions()) != before


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"parameters": 1}',
        b'{"parameters":"7","macs":8,"memory":9,"batch":1,"divisor":2,"minimum":2}',
        b"\xff\xfe",
    ],
)
def test_a_broken_entry_is_none(tmp_path, content):
    cache = CostCache(tmp_path)
    cache.put(component(), NoOptions(), COST)
    cache.place(component(), NoOptions()).write_bytes(content)
    assert cache.get(component(), NoOptions()) is None


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    cache = CostCache(tmp_path / "file" / "models")
    assert cache.get(component(), NoOptions()) is None
    with pytest.raises(HandboneError, match="a part of that path is a file"):
        cache.put(component(), NoOptions(), COST)


def test_a_look_into_the_cache_loads_no_torch():
    code = """
import sys
from pathlib import Path
from handbone_cli.host.registry import installed
from handbone_cli.networks.cost_cache import CostCache
component = installed().get("models", "nnunet")
CostCache(Path("nowhere")).get(component, component.options_type()())
print([name for name in ("torch", "timm", "handbone_models.nnunet") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr
