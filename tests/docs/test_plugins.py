"""The pages on plugins: their code passes every check, their tables and commands are true."""

from __future__ import annotations

import contextlib
import importlib
import re
import sys
from pathlib import Path

import click
import pytest

from handbone_cli.cli import hb
from handbone_cli.host.hookspecs import KINDS, Register, singular
from handbone_cli.recipe.load import load_recipe
from handbone_cli.testing.cases import builds, cases_of, run
from handbone_cli.testing.conformance import registration
from handbone_cli.testing.plugin import locate

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "plugins"
PAGES = {kind: FOLDER / f"{singular(kind)}.md" for kind in KINDS}
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
LINES = {"losses": 25, "datasets": 45, "loaders": 40}
"""Of code, blank ones left out, on the pages whose kind needs more than 22."""


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def table(text):
    """The rows of the table of checks: name -> promise."""
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", text, re.MULTILINE)
    return dict(rows)


def promises(checks):
    return {check.__name__: check.__doc__.partition("\n")[0] for check in checks}


@pytest.fixture
def plugin(tmp_path):
    """kind -> the plugin of its page, as a folder that is not installed."""
    with contextlib.ExitStack() as stack:

        def write(kind):
            (code,) = blocks(PAGES[kind].read_text(encoding="utf-8"), "python")
            module = f"page_{singular(kind)}"
            (tmp_path / f"{module}.py").write_text(code)
            (tmp_path / "pyproject.toml").write_text(
                f'[project]\nname = "page"\n[project.entry-points.handbone]\npage = "{module}"\n'
            )
            return locate(str(tmp_path), stack)

        yield write
    assert not [name for name in sys.modules if name.startswith("page_")]


@pytest.mark.slow  # 2 s each: a Python of its own sees what it loads; torch, worker processes
@pytest.mark.parametrize("kind", KINDS)
def test_the_code_of_a_page_passes_every_check(kind, plugin):
    results = list(run(cases_of(plugin(kind))))
    found = {f"{case}": result for case, result in results}
    assert not {name: r.reason for name, r in found.items() if r.outcome == "failed"}
    skipped = {name.rpartition("-")[2] for name, r in found.items() if r.outcome == "skipped"}
    assert skipped <= {"gpu"}
    assert {case.kind for case, _ in results} == {"module", kind}


@pytest.mark.parametrize("kind", KINDS)
def test_the_recipe_of_a_page_is_valid(kind, plugin, tmp_path):
    (part,) = blocks(PAGES[kind].read_text(encoding="utf-8"), "toml")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'extends = "quickstart"\n{part}')
    registry = plugin(kind).registry
    (name,) = {c.name for c in registry.components[kind].values() if c.distribution == "page"}
    assert f'"{name}"' in part
    assert name in load_recipe(str(recipe), registry).model_dump_json()


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_says_what_is_checked(kind):
    checks = importlib.import_module(f"handbone_cli.testing.conformance.{kind}").CHECKS
    assert table(PAGES[kind].read_text(encoding="utf-8")) == promises(checks)


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_short(kind):
    (code,) = blocks(PAGES[kind].read_text(encoding="utf-8"), "python")
    assert len([line for line in code.splitlines() if line.strip()]) <= LINES.get(kind, 22)


def test_the_index_says_what_every_plugin_is_held_to():
    checks = (*registration.MODULE_CHECKS, *registration.REGISTRATION_CHECKS, builds)
    found = table(INDEX)
    assert {name: found[name] for name in promises(checks)} == promises(checks)


def test_the_index_names_every_kind_and_argument():
    for kind in KINDS:
        page = PAGES[kind].name
        assert f"[{page}]({page}) | `handbone_{kind}` |" in INDEX
    named = [name for name in Register.__call__.__annotations__ if name != "return"]
    assert [name for name in table(INDEX) if name in named] == named


def commands():
    texts = [INDEX, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")]
    lines = [line for text in texts for block in blocks(text, "sh") for line in block.splitlines()]
    return sorted({line.partition("#")[0].strip() for line in lines if line.startswith("hb ")})


@pytest.mark.parametrize("line", commands())
def test_commands_and_options_exist(line):
    command, words = hb, line.split()[1:]
    context = click.Context(hb, info_name="hb")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    command.make_context(line, [*words])


@pytest.mark.parametrize(
    "page",
    [
        *PAGES.values(),
        FOLDER / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "plugins/example/README.md",
    ],
    ids=lambda page: page.relative_to(ROOT).as_posix(),
)
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def test_the_examples_of_the_index_work(tmp_path):
    example, body = blocks(INDEX, "python")[1:]
    seen = {}

    def register(name, build, **details):
        seen.update(details, name=name)

    exec(example, {"register": register, "build": None, "ScaleOptions": None})  # our own page
    assert seen == {"name": "scale", "options": None, "example": {"factor": 0.75}}
    module = {}
    exec(body, module)
    assert module["example"](tmp_path) == {"encoding": "ascii"}
    assert (tmp_path / "train" / "list.txt").exists()
