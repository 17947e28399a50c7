"""Plugins know handbone by its public names alone and cost nothing until one is built."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import handbone_cli

ROOT = Path(__file__).parents[2]
PLUGINS = ROOT / "plugins"
MODULES = sorted(PLUGINS.rglob("*.py"))
REGISTRATIONS = sorted(path.parent.name for path in PLUGINS.glob("handbone_*/__init__.py"))


def foreign_imports(path):
    """What a module takes from handbone_cli beyond its public names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.split(".")[0] == "handbone_cli")
        elif isinstance(node, ast.ImportFrom) and node.module == "handbone_cli":
            yield from (a.name for a in node.names if a.name not in handbone_cli.__all__)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("handbone_cli."):
            yield node.module


def run(code):
    paths = os.pathsep.join(str(path) for path in (ROOT, PLUGINS))
    environment = {**os.environ, "PYTHONPATH": paths}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PLUGINS)))
def test_plugins_import_only_public_names(path):
    assert list(foreign_imports(path)) == []


def test_the_check_sees_every_way_to_import(tmp_path):
    module = tmp_path / "module.py"
    module.write_text(
        "import handbone_cli.masks\n"
        "from handbone_cli import hookimpl, host\n"
        "def f():\n    from handbone_cli.errors import closest\n"
    )
    assert list(foreign_imports(module)) == ["handbone_cli.masks", "host", "handbone_cli.errors"]


@pytest.mark.parametrize("name", REGISTRATIONS)
def test_registering_loads_nothing_heavy(name):
    code = f"import sys, {name}; print([m for m in ('torch', 'numpy', 'cv2') if m in sys.modules])"
    assert run(code) == "[]"


def test_options_are_read_without_torch():
    code = f"""
import sys
from importlib.metadata import EntryPoint
from handbone_cli.host.registry import collect
registry = collect([EntryPoint(name, name, "handbone") for name in {REGISTRATIONS}])
assert not registry.broken, registry.broken
for components in registry.components.values():
    for component in components.values():
        component.options_type()
print("torch" in sys.modules, sum(map(len, registry.components.values())) > 10)
"""
    assert run(code) == "False True"
