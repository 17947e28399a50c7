from __future__ import annotations

import json

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.processes import describe_process
from handbone_cli.recipe.load import load_recipe
from handbone_cli.runs.cross_validation import CrossValidation, of_fold
from handbone_cli.runs.overview import find_runs, state_of


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("quickstart", installed(), ["data.root=data", "data.folds=3"], fold=0)


@pytest.fixture
def folds(recipe, tmp_path):
    made = CrossValidation(tmp_path / "all")
    made.create(recipe)
    return made


def said(call, *arguments):
    with pytest.raises(HandboneError) as caught:
        call(*arguments)
    return str(caught.value)


def test_where_everything_lies(folds):
    assert [run.path.name for run in folds.runs()] == ["fold0", "fold1", "fold2"]
    assert all(run.path.parent == folds.path for run in folds.runs())
    assert folds.store == folds.path / "out_of_fold"


def test_the_recipe_comes_back_in_both_files(folds, recipe):
    assert folds.recipe(installed()) == recipe
    assert folds.facts()["recipe"]["data"]["folds"] == folds.facts()["folds"] == 3


def test_of_fold_changes_the_fold_alone(recipe):
    other = of_fold(recipe, 2)
    assert (other.data.fold, recipe.data.fold) == (2, 0)
    assert of_fold(other, 0) == recipe
    assert other.data.dataset_options == recipe.data.dataset_options


@pytest.mark.parametrize("file", ["last", "best"])
def test_what_is_trained_is_not_written_over(folds, recipe, file):
    folds.run(2).path.mkdir()
    getattr(folds.run(2), file).write_bytes(b"")
    assert said(folds.create, recipe) == (
        f"{folds.path}: holds a cross-validation already; go on with --resume, or choose another "
        "-o."
    )


def test_one_that_never_saved_is_started_afresh(folds, recipe):
    folds.update_facts(status="failed", said="no data")
    folds.create(recipe)
    assert "said" not in folds.facts()


@pytest.mark.parametrize("name", ["own.txt", "run.json", "fold0"])
def test_a_folder_of_something_else(recipe, tmp_path, name):
    (tmp_path / name).write_text("{}")
    assert said(CrossValidation(tmp_path).create, recipe) == (
        f"{tmp_path}: the folder has files but no cross-validation; choose another -o."
    )


def test_a_log_alone_is_its_own(recipe, tmp_path):
    (tmp_path / "log.txt").write_text("")
    CrossValidation(tmp_path).create(recipe)


@pytest.mark.parametrize("content", ["[]", "{}", '{"recipe": {}}', '{"recipe": 1, "folds": 2}'])
def test_facts_of_something_else(folds, content):
    folds.facts_file.write_text(content)
    assert said(folds.facts) == (
        f"{folds.facts_file}: not what `hb train --fold all` writes (no recipe or folds)."
    )


def test_the_list_has_the_whole_before_its_folds(folds, tmp_path):
    deep = tmp_path / "b" / "c" / "d"
    (tmp_path / "b" / "c").mkdir(parents=True)
    folds.path.rename(deep)
    (deep / "log.txt").write_text("")
    for fold, status in enumerate(["finished", "stopped"]):
        path = deep / f"fold{fold}" / "run.json"
        path.parent.mkdir()
        path.write_text(json.dumps({"class_names": [], "status": status}))
    (deep / "out_of_fold").mkdir()
    CrossValidation(deep).update_facts(process=describe_process(), mean_dice=0.5)
    found = [state_of(run) for run in find_runs(tmp_path)]
    assert [each.path for each in found] == [deep, deep / "fold0", deep / "fold1"]
    assert [each.state for each in found] == ["running", "finished", "stopped"]
    whole = found[0]
    assert (whole.epoch, whole.epochs, whole.counted, whole.dice) == (1, 3, "folds", 0.5)


def test_a_broken_one_does_not_spoil_the_list(folds, tmp_path):
    folds.facts_file.write_text("{")
    (state,) = [state_of(run) for run in find_runs(tmp_path)]
    assert (state.state, state.path) == ("unknown", folds.path)
    assert "cross_validation.json: not JSON" in state.said
