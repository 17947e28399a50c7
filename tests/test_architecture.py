from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import handbone_cli

ROOT = Path(__file__).parents[1]
MODULES = sorted([*(ROOT / "handbone_cli").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")])
HEAVY = ("torch", "numpy", "cv2", "pydantic", "importlib.metadata", "rich", "pluggy")
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
UNSAFE_CALLS = {"eval", "exec", "torch.load", "torch.save"}


def run(code):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def unsafe(source):
    """What a module does that could run a stranger's code: pickles, eval, torch.load."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "", *(f"{node.module}.{a.name}" for a in node.names)]
        elif isinstance(node, ast.Call):
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if given.get("weights_only") != "True":
                yield from {ast.unparse(node.func)} & UNSAFE_CALLS
            yield from (
                "allow_pickle"
                for keyword in node.keywords
                if keyword.arg == "allow_pickle" and ast.unparse(keyword.value) != "False"
            )
            continue
        else:
            continue
        yield from (n for n in names if n.split(".")[0] in UNSAFE_MODULES or n in UNSAFE_CALLS)


def numpy_loads_without_a_word(source):
    """Calls of np.load that do not say allow_pickle."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"np.load", "numpy.load"}:
            yield from [node.lineno] * ("allow_pickle" not in [k.arg for k in node.keywords])


def test_the_arrows_point_one_way():
    pytest.importorskip("importlinter")
    result = run("from importlinter.cli import lint_imports as l; exit(l(no_cache=True))")
    assert result.returncode == 0, result.stdout + result.stderr
    assert " kept, 0 broken" in result.stdout


def test_help_loads_nothing_heavy():
    code = f"""
import sys
from handbone_cli.cli import run
code = run(["--help"])
heavy = [name for name in {HEAVY!r} if name in sys.modules]
commands = [name for name in sys.modules if name.startswith("handbone_cli.commands.")]
sys.exit(f"{{code}} {{heavy}} {{commands}}")
"""
    result = run(code)
    assert result.stderr.strip() == "0 [] ['handbone_cli.commands.lazy_group']"
    assert result.stdout.startswith("Usage: hb [OPTIONS] COMMAND [ARGS]...")


@pytest.mark.parametrize("name", handbone_cli.__all__)
def test_every_public_name_resolves(name):
    value = getattr(handbone_cli, name)
    assert getattr(value, "__name__", name) in {name, "HookimplMarker"}


def test_the_public_names_are_sorted_typed_and_no_others():
    assert list(handbone_cli._HOMES) == sorted(handbone_cli._HOMES)
    assert sorted(handbone_cli.__all__) == list(handbone_cli._HOMES)
    tree = ast.parse(Path(handbone_cli.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert typed == handbone_cli._HOMES
    with pytest.raises(AttributeError, match="'handbone_cli' has no attribute 'nothing'"):
        _ = handbone_cli.nothing


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_runs_what_it_reads(path):
    source = path.read_text(encoding="utf-8")
    assert list(unsafe(source)) == []
    assert list(numpy_loads_without_a_word(source)) == []


def test_old_checkpoints_are_read_in_one_place():
    loads = [path.name for path in MODULES if "torch.load(" in path.read_text(encoding="utf-8")]
    assert loads == ["legacy_checkpoint.py"]


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import pickle", ["pickle"]),
        ("def f():\n    from pickle import loads", ["pickle", "pickle.loads"]),
        ("from torch import load", ["torch.load"]),
        ("torch.load(path)", ["torch.load"]),
        ("torch.load(path, weights_only=False)", ["torch.load"]),
        ("torch.load(path, weights_only=sure)", ["torch.load"]),
        ("torch.load(path, weights_only=True)", []),
        ("eval('1')", ["eval"]),
        ("np.load(path, allow_pickle=True)", ["allow_pickle"]),
        ("model.eval(); np.load(path, allow_pickle=False)", []),
    ],
)
def test_the_check_sees_what_it_should(source, found):
    assert list(unsafe(source)) == found
    assert list(numpy_loads_without_a_word("x = np.load(path)")) == [1]
