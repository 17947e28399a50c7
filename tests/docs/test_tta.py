"""What docs/tta.md says is true: its commands, its list of views, what resampling costs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest
import torch

from handbone_cli.cli import hb
from handbone_cli.commands.wiring.prediction_options import parse_view
from handbone_cli.host.registry import installed
from handbone_cli.networks.build import build_tta
from handbone_cli.recipe.load import load_recipe
from handbone_cli.recipe.schema import ComponentSection
from handbone_cli.testing.trial import Trial

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "tta.md").read_text(encoding="utf-8")
SH, TOML = (re.findall(rf"^```{kind}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
            for kind in ("sh", "toml"))  # fmt: skip
VIEWS = re.findall(r"^\| `(\w+)` \| (\d) \| (\w+) \| (\w+) \|", PAGE, re.MULTILINE)
ERRORS = re.findall(r"^\| `([\w:=.]+)` \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE)
SIZE = (151, 120)


def build(table):
    return build_tta([ComponentSection(**table)], installed(), ())


def said(values):
    return {(True,): "yes", (False,): "no"}.get(tuple(set(values)), "some")


def test_every_view_of_ours_is_listed():
    ours = {c.name for c in installed().components["tta"].values() if c.distribution == "handbone"}
    assert len(VIEWS) == len(ours)
    assert {name for name, *_ in VIEWS} == ours


@pytest.mark.parametrize(("name", "count", "exact", "mirrors"), VIEWS)
def test_a_view_is_as_it_is_listed(name, count, exact, mirrors):
    options = Trial(installed().get("tta", name), installed()).options
    views = build({"name": name, **options})
    assert len(views) == int(count)
    assert said(view.exact for view in views) == exact
    assert said(view.mirrored for view in views) == mirrors


@pytest.mark.parametrize("line", [line for block in SH for line in block.splitlines()])
def test_commands_exist_and_their_views_can_be_built(line):
    words = shlex.split(line, comments=True)[1:]
    command, context = hb, click.Context(hb, info_name="hb")
    while isinstance(command, click.Group):
        name, command, words = command.resolve_command(context, words)
        context = click.Context(command, info_name=name, parent=context)
    parameters = command.make_context("hb", words).params
    for view in parameters.get("tta", ()):
        assert view == "none" or build(parse_view(view))


def test_the_recipe_is_valid(tmp_path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'extends = "quickstart"\n{TOML[0]}')
    sections = load_recipe(str(recipe), installed()).tta
    assert len(build_tta(sections, installed(), ())) == 4


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row[0])
def test_what_resampling_costs(row):
    name, *stated = row
    (view,) = build(parse_view(name))
    for softness, worst in zip((1.0, 2.0), stated, strict=True):
        disc = soft_disc(softness)
        back = view.restore(view.augment(disc), SIZE)
        assert float((back - disc).abs().max()) == pytest.approx(float(worst), abs=6e-4)
        assert dice(back > 0.5, disc > 0.5) >= 0.999


def test_how_the_edges_rise():
    """A logistic edge rises from 0.1 to 0.9 within 2 ln 9 = 4.4 times its softness."""
    head = "| view | 4 px | 9 px |"
    assert head in PAGE
    assert [round(4.394 * softness) for softness in (1.0, 2.0)] == [4, 9]


@pytest.mark.parametrize(("degrees", "share"), [(5, 1.17), (45, 2.0)])
def test_how_much_larger_a_turned_view_is(degrees, share):
    (view,) = build({"name": "rotate", "degrees": degrees})
    seen = view.augment(torch.zeros(1, 1, 1024, 1024))
    assert seen.numel() / 1024**2 == pytest.approx(share, abs=0.01)
    assert "17 % more" in PAGE


def soft_disc(softness):
    rows, columns = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    distance = ((rows - 0.45 * SIZE[0]) ** 2 + (columns - 0.52 * SIZE[1]) ** 2).sqrt()
    return torch.sigmoid((30 - distance) / softness)[None, None]


def dice(a, b):
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))
