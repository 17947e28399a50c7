from __future__ import annotations

import pytest

from handbone_cli.testing import lightness

PLUGIN = """{imports}
from handbone_cli import Options, hookimpl

class BOptions(Options):
    pass

@hookimpl
def handbone_losses(register):
    {body}
    register("a", "heavy_a:build", options="heavy_options:AOptions", summary="a")
    register("b", "heavy_a:build", options=BOptions, summary="b")
"""


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def write(name="heavy_plugin", imports="", body="pass", options=""):
        (tmp_path / f"{name}.py").write_text(PLUGIN.format(imports=imports, body=body))
        (tmp_path / "heavy_options.py").write_text(
            f"{options}\nfrom handbone_cli import Options\nclass AOptions(Options):\n    pass\n"
        )
        (tmp_path / "cv2.py").write_text("")
        (tmp_path / "torch.py").write_text("")
        (tmp_path / "monai.py").write_text("")
        return name

    return write


def test_a_light_plugin(plugin):
    found = lightness.measure([plugin()])
    assert found.modules == {"heavy_plugin": {}}
    assert found.options == {"losses a": {}, "losses b": {}}


def test_what_is_loaded_and_in_which_line(plugin):
    name = plugin(imports="import cv2", body="import torch", options="import monai")
    found = lightness.measure([name])
    assert found.modules == {name: {"cv2": "heavy_plugin.py:1", "torch": "heavy_plugin.py:9"}}
    assert found.options["losses b"] == {}
    assert found.options["losses a"] == {"monai": "heavy_options.py:1"}


def test_the_plugins_line_counts_though_another_library_asks(plugin, tmp_path):
    (tmp_path / "middle.py").write_text("\n\nimport torch\n")
    found = lightness.measure([plugin(imports="import middle")])
    assert found.modules["heavy_plugin"] == {"torch": "heavy_plugin.py:1"}


@pytest.mark.parametrize("status", [0, 7])
def test_what_kills_python_is_told(plugin, status):
    name = plugin(imports=f"import os\nos._exit({status})")
    said = f"a new Python that imports it ends with: exit code {status}$"
    with pytest.raises(AssertionError, match=said):
        lightness.measure([name])


def test_what_prints_is_no_matter(plugin):
    assert lightness.measure([plugin(imports="print('hello')")]).modules == {"heavy_plugin": {}}


def test_what_takes_for_ever_is_told(plugin, monkeypatch):
    monkeypatch.setattr(lightness, "PATIENCE", 0.01)
    with pytest.raises(AssertionError, match=r"importing it takes more than 0.01 s"):
        lightness.measure([plugin()])


def test_the_watcher_finds_nothing_itself():
    watcher = lightness.Watcher()
    assert watcher.find_spec("torch", None, None) is None
    assert watcher.find_spec("json", None, None) is None
    (place,) = watcher.news().values()
    assert place.startswith("test_lightness.py:")
    assert watcher.find_spec("torch", None, None) is None
    assert watcher.news() == {}
