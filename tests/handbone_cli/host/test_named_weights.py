from __future__ import annotations

import hashlib
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from handbone_cli.commands.wiring.prediction import open_run
from handbone_cli.commands.wiring.weights import open_weights
from handbone_cli.errors import HandboneError
from handbone_cli.host import named_weights as module
from handbone_cli.host.named_weights import GROUP, SUMS, named_weights, weights_names
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe

RECIPE = 'name = "r"\n[model]\nname = "nnunet"\nweights = "{}"\n[loss]\nname = "dice"\n'


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `their_weights` of one file, known as `theirs`."""
    folder = tmp_path / "site" / "their_weights"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "best.safetensors").write_bytes(b"weights")
    digest = hashlib.sha256(b"weights").hexdigest()
    (folder / SUMS).write_text(f"{digest}  best.safetensors\n")
    points = [EntryPoint("theirs", "their_weights", GROUP), EntryPoint("gone", "not_there", GROUP)]
    monkeypatch.setattr(module, "entry_points", lambda group: points if group == GROUP else [])
    monkeypatch.syspath_prepend(folder.parent)
    monkeypatch.chdir(tmp_path)
    return folder


def test_a_name_is_the_folder_of_its_package(package, tmp_path):
    assert weights_names() == ["gone", "theirs"]
    assert named_weights(Path("theirs")) == package
    assert open_run(Path("theirs")).path == package


def test_what_lies_there_comes_first(package, tmp_path):
    here = Path("theirs")
    here.mkdir()
    assert named_weights(here) == here
    assert named_weights(here / "theirs") == here / "theirs"
    assert named_weights(tmp_path / "theirs2") == tmp_path / "theirs2"
    assert named_weights(Path("runs")) == Path("runs")
    with pytest.raises(HandboneError, match=r"thiers: no such .* Did you mean 'theirs'?"):
        named_weights(Path("thiers"))


def test_damage_is_told(package, tmp_path):
    (package / "best.safetensors").write_bytes(b"weight5")
    with pytest.raises(HandboneError, match=r"best.safetensors: damaged.*install their_weights"):
        named_weights(Path("theirs"))
    (package / "best.safetensors").unlink()
    with pytest.raises(HandboneError, match="no such file"):
        open_weights(Path("theirs"))
    with pytest.raises(HandboneError, match="its package not_there is not there"):
        named_weights(Path("gone"))


def test_a_recipe_names_them(package, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(RECIPE.format("theirs"))
    assert str(load_recipe(str(path), installed()).model.weights) == "theirs"
    said = load_recipe(str(path), installed(), ["model.weights=theirs"])
    assert str(said.model.weights) == "theirs"
    path.write_text(RECIPE.format("mine"))
    assert load_recipe(str(path), installed()).model.weights == tmp_path / "mine"
    (tmp_path / "theirs").mkdir()
    path.write_text(RECIPE.format("theirs"))
    assert load_recipe(str(path), installed()).model.weights == tmp_path / "theirs"
