"""The page on trackers: its recipe, its overrides and its names of files are true."""

from __future__ import annotations

import re
from pathlib import Path

from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe

PAGE = (Path(__file__).parents[2] / "docs" / "trackers.md").read_text(encoding="utf-8")


def test_its_recipe_and_its_overrides_are_valid(tmp_path):
    (part,) = re.findall(r"^```toml\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'extends = "quickstart"\n{part}')
    said = load_recipe(str(recipe), installed()).tracking
    assert [each.name for each in said.sections] == ["jsonl", "tensorboard", "wandb"]
    overrides = re.findall(r"--set '([^']*)'", PAGE)
    assert len(overrides) == 3
    for override in overrides:
        load_recipe("quickstart", installed(), [override])


def test_every_tracker_of_ours_is_told_of():
    ours = {
        name
        for name, each in installed().components["trackers"].items()
        if each.distribution == "handbone"
    }
    assert ours == {"jsonl", "tensorboard", "wandb"}
    for name in ours:
        assert f"`{name}`" in PAGE or f"## {name}\n" in PAGE
