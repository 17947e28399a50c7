from __future__ import annotations

import ast
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.hookspecs import KINDS, singular
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe
from handbone_cli.testing import scaffold
from handbone_cli.testing.plugin import locate
from handbone_cli.testing.scaffold import Draft, draft_plugin, write_plugin

ROOT = Path(__file__).parents[3]
RULES = "E,W,F,I,N,UP,ANN,B,A,C4,D,SIM,RET,RUF,PTH,PL,TC,PT,PERF"
LEFT_OUT = "D100,D103,D104,D107,D203,D213,D401,PLC0415"


def run(command, *paths, cwd):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def write_all(folder):
    return [
        write_plugin(draft_plugin(kind, f"own_{singular(kind)}", installed()), folder / kind)
        for kind in KINDS
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_distribution_is_written(kind, tmp_path):
    paths = write_plugin(Draft(kind, "my_own"), tmp_path / "made" / "here")
    assert [path.relative_to(tmp_path / "made" / "here").as_posix() for path in paths] == [
        "pyproject.toml",
        "handbone_my_own.py",
        "tests/test_my_own.py",
        "README.md",
        ".gitignore",
    ]
    texts = {path.name: path.read_text() for path in paths}
    assert "$" not in "".join(texts.values())
    assert f"def handbone_{kind}(register: Register)" in texts["handbone_my_own.py"]
    assert 'name = "handbone-my-own"' in texts["pyproject.toml"]
    assert 'checks_of("handbone-my-own")' in texts["test_my_own.py"]
    assert max(len(line) for line in texts["handbone_my_own.py"].splitlines()) <= 88


@pytest.mark.parametrize("kind", KINDS)
def test_every_template_registers_one_component(kind, tmp_path):
    with contextlib.ExitStack() as stack:
        write_plugin(Draft(kind, "sample"), tmp_path)
        plugin = locate(str(tmp_path), stack)
        (own,) = plugin.modules.values()
        assert not own.broken
        assert [(each.kind, each.name) for each in own.all()] == [(kind, "sample")]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["sample", "options", "patch", "tensor", "context", "mapping"])
def test_no_name_hides_what_the_module_imports(kind, name):
    text = Draft(kind, name).files()[f"handbone_{name}.py"]
    tree = ast.parse(text)
    imported = [
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    ]
    defined = [n.name for n in tree.body if isinstance(n, (ast.ClassDef, ast.FunctionDef))]
    assert not set(imported) & set(defined)
    assert len(set(defined)) == len(defined)


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_says_of_recipes_is_true(kind, tmp_path):
    """The table of the README, and --set of the last command, with the component registered."""
    with contextlib.ExitStack() as stack:
        write_plugin(Draft(kind, "my_own"), tmp_path)
        registry = locate(str(tmp_path), stack).registry
        (table,) = re.findall(r"```toml\n(.*?)```", (tmp_path / "README.md").read_text(), re.DOTALL)
        recipe = tmp_path / "own.toml"
        recipe.write_text(f'extends = "quickstart"\n{table}')
        setting = Draft(kind, "my_own").setting.strip("'")
        for named in (
            load_recipe(str(recipe), registry),
            load_recipe("quickstart", registry, [setting]),
        ):
            assert "my_own" in named.model_dump_json()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("My-Net", "'My-Net': a component's name is lower_snake, as in a recipe, such as my_net."),
        ("myNet", "'myNet': a component's name is lower_snake, as in a recipe, such as my_net."),
        ("net__b", "'net__b': a component's name is lower_snake, as in a recipe, such as net_b."),
        ("2net", "'2net': a component's name is lower_snake, as in a recipe."),
        ("../x", "'../x': a component's name is lower_snake, as in a recipe, such as x."),
        ("", "'': a component's name is lower_snake, as in a recipe."),
        ("tta", "'tta': a module handbone_tta is installed already; choose another name."),
    ],
)
def test_names_that_are_refused(name, sentence):
    with pytest.raises(HandboneError) as caught:
        draft_plugin("models", name, installed())
    assert str(caught.value) == sentence


def test_a_name_that_is_taken():
    with pytest.raises(HandboneError, match=r"^TTA transform 'hflip' is there already, from hand"):
        draft_plugin("tta", "hflip", installed())
    assert draft_plugin("losses", "hflip", installed()).distribution == "handbone-hflip"


def test_what_is_there_is_never_written_over(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(HandboneError, match=r": the folder is not empty; choose another one with"):
        write_plugin(Draft("tta", "view"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_every_kind_has_a_template_and_no_other():
    python = {path.name.removesuffix(".py.txt") for path in scaffold.HERE.glob("*.py.txt")}
    assert python == {"test", *(singular(kind) for kind in KINDS)}
    assert set(scaffold.RECIPES) == set(scaffold.SETTINGS) == set(KINDS)


@pytest.mark.slow  # 2 s
def test_what_is_written_is_clean(tmp_path):
    pytest.importorskip("ruff")
    write_all(tmp_path)
    ruff = [sys.executable, "-m", "ruff"]
    rules = ["--isolated", "--select", RULES, "--ignore", LEFT_OUT]
    done = run([*ruff, "check", *rules, "."], cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    done = run([*ruff, "format", "--isolated", "--check", "."], cwd=tmp_path)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow  # 40 s: pip builds eight wheels; pytest runs every check of every kind
def test_what_is_written_is_installed_and_passes_every_check(tmp_path):
    pytest.importorskip("hatchling")
    write_all(tmp_path)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    sources = [str(tmp_path / kind) for kind in KINDS]
    target = tmp_path / "target"
    done = run([*pip, "--no-index", "--quiet", "--target", str(target), *sources], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for kind in KINDS:  # what is installed is what is found
        (tmp_path / kind / f"handbone_own_{singular(kind)}.py").unlink()
    paths = (target, ROOT, ROOT / "plugins")
    tests = [str(tmp_path / kind / "tests") for kind in KINDS]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    done = run(command, *paths, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    passed = int(re.search(r"(\d+) passed", done.stdout)[1])
    assert passed >= 90, done.stdout
    assert "failed" not in done.stdout
    check = [sys.executable, "-m", "handbone_cli", "plugins", "check", "handbone-own-tracker"]
    done = run([*check, "--json"], *paths, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert {row["outcome"] for row in rows} == {"passed"}
    assert {row["kind"] for row in rows} == {"module", "trackers"}
    shutil.rmtree(target)
