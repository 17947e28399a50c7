from __future__ import annotations

import re

import pytest

from handbone_cli.errors import HandboneError, RecipeError
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe
from handbone_cli.runs.directory import RunDirectory


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    recipe = load_recipe("quickstart", installed(), ["data.root=data", "tta=[{name='hflip'}]"])
    directory.create(recipe, {"class_names": ["Radius"], "best": None})
    return directory, recipe


def said(call, *arguments):
    with pytest.raises(HandboneError) as caught:
        call(*arguments)
    return str(caught.value)


def test_the_recipe_comes_back(run):
    directory, recipe = run
    assert directory.recipe(installed()) == recipe


def test_facts_are_changed_key_by_key(run):
    directory, _ = run
    directory.update_facts(best=0.5, epochs=3)
    assert directory.facts() == {"class_names": ["Radius"], "best": 0.5, "epochs": 3}


@pytest.mark.parametrize("file", ["last", "best"])
def test_weights_are_not_written_over(run, file):
    directory, recipe = run
    getattr(directory, file).write_bytes(b"")
    assert said(directory.create, recipe, {}) == (
        f"{directory.path}: holds a run already; go on with --resume, or choose another -o."
    )
    assert directory.facts()["class_names"] == ["Radius"]


def test_a_run_that_never_saved_is_started_afresh(run):
    directory, recipe = run
    (directory.path / "metrics.jsonl").write_text("{}\n")
    directory.create(recipe, {"class_names": ["Ulna"]})
    assert directory.facts() == {"class_names": ["Ulna"]}
    assert not (directory.path / "metrics.jsonl").exists()


def test_what_is_no_run(tmp_path):
    missing, empty = RunDirectory(tmp_path / "none"), RunDirectory(tmp_path)
    assert said(missing.facts) == (
        f"{missing.path}: no such file or folder; expected a run directory "
        "(what `hb train` writes)."
    )
    assert said(empty.recipe, installed()) == (
        f"{tmp_path}: not a run directory, there is no run.json in it."
    )


@pytest.mark.parametrize("content", ["[]", "{}", '{"class_names": 3}'])
def test_facts_of_something_else(run, content):
    directory, _ = run
    directory.facts_file.write_text(content)
    assert said(directory.facts) == (
        f"{directory.facts_file}: not what `hb train` writes (no class_names)."
    )


def test_a_recipe_changed_by_hand_is_checked(run):
    directory, _ = run
    text = directory.recipe_file.read_text()
    changed = re.sub(r"^epochs = \d+$", "epochs = 0", text, flags=re.MULTILINE)
    directory.recipe_file.write_text(changed)
    with pytest.raises(RecipeError) as caught:
        directory.recipe(installed())
    assert caught.value.problems == [
        f"{directory.recipe_file}: train.epochs = 0: expected 1 or more."
    ]
