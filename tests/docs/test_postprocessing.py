"""What docs/postprocessing.md says is true: its commands, recipe, list of rules and grids."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from handbone_cli.cli import hb
from handbone_cli.commands.wiring.masks import build_rules
from handbone_cli.commands.wiring.rule_variants import make_variants
from handbone_cli.host.interfaces import BoneRule, HandRule
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "postprocessing.md").read_text(encoding="utf-8")
SH, TOML = (re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
            for kind in ("sh", "toml"))  # fmt: skip
RULES = re.findall(r"^\| `(\w+)` \| (.*?) \| ([a-z, ]+) \|", PAGE, re.MULTILINE)
NAMES = ("Radius", "Pisiform", "Triquetrum")


@pytest.mark.parametrize("line", [line for block in SH for line in block.splitlines()])
def test_commands_and_options_exist(line):
    words = shlex.split(line, comments=True)[1:]
    command, context = hb, click.Context(hb, info_name="hb")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    made = command.make_context("hb", words).params
    assert all(make_variants(text, NAMES, installed()) for text in made.get("texts", ()))


def test_the_recipe_is_valid_and_its_rules_are_for_these_bones(tmp_path):
    (part,) = TOML
    (tmp_path / "recipe.toml").write_text(f'extends = "quickstart"\n{part}')
    recipe = load_recipe(str(tmp_path / "recipe.toml"), installed())
    tables = [section.model_dump() for section in recipe.postprocess]
    first, second = build_rules(tables, NAMES, installed())
    assert first.classes is None
    assert second.classes == {"Pisiform", "Triquetrum"}


def test_every_rule_of_ours_is_listed():
    found = installed().components["postprocessors"].values()
    ours = sorted(component.name for component in found if component.distribution == "handbone")
    assert sorted(name for name, *_ in RULES) == ours


@pytest.mark.parametrize(("name", "grid", "looks_at"), RULES)
def test_a_rule_is_as_it_is_listed(name, grid, looks_at):
    own = installed().get("postprocessors", name).options_type().grid
    said = {key: ", ".join(str(value) for value in values) for key, values in own.items()}
    assert grid.strip() == ", ".join(f"{key} {values}" for key, values in said.items())
    (built,) = build_rules([{"name": name}], NAMES, installed())
    kind = {"mask": False, "probabilities, image": BoneRule, "all bones": HandRule}[looks_at]
    assert isinstance(built.rule, kind or (BoneRule, HandRule)) is bool(kind)


def test_the_defaults_of_the_crfs_are_told():
    options = installed().get("postprocessors", "dense_crf").options_type()().model_dump()
    for key in options.keys() - {"iterations"}:
        assert f"`{key}` {options[key]:g}" in PAGE.replace("\n", " ")
    assert f"and {options['iterations']} iterations" in PAGE
