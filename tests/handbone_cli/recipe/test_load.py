from __future__ import annotations

from pathlib import Path

import pytest

from handbone_cli.errors import HandboneError, RecipeError
from handbone_cli.host.registry import installed
from handbone_cli.recipe import load
from handbone_cli.recipe.ensemble import is_ensemble, load_ensemble

SHIPPED = Path(__file__).parents[3] / "recipes"
RECIPES = sorted(path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*.toml"))
LEAST = 'name = "least"\n[model]\nname = "nnunet"\n[loss]\nname = "dice"\n'


@pytest.fixture
def write(tmp_path):
    def write(text, name="recipe.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write


def read(path, *overrides):
    return load.load_recipe(str(path), installed(), overrides)


def test_there_are_shipped_recipes_of_both_sorts():
    sorts = [is_ensemble(SHIPPED / name) for name in RECIPES]
    assert True in sorts
    assert False in sorts


@pytest.mark.parametrize("name", RECIPES)
def test_every_shipped_recipe_is_valid_and_comes_back_from_its_toml(name, write):
    if is_ensemble(SHIPPED / name):
        recipes = [recipe for _, recipe in load_ensemble(str(SHIPPED / name), installed()).members]
    else:
        recipes = [read(SHIPPED / name)]
    for recipe in recipes:
        assert read(write(load.to_toml(recipe))) == recipe
        assert load.from_table(load.to_table(recipe), installed(), "run") == recipe


def test_a_shipped_recipe_by_its_bare_name():
    assert load.find_recipe("ensembles/winners") == load.shipped_folder() / "ensembles/winners.toml"
    assert read("quickstart").name == "quickstart"


def test_a_folder_does_not_hide_a_shipped_recipe(tmp_path, monkeypatch):
    (tmp_path / "quickstart").mkdir()
    monkeypatch.chdir(tmp_path)
    assert load.find_recipe("quickstart") == load.shipped_folder() / "quickstart.toml"


def test_an_unknown_recipe_gets_the_nearest_name():
    with pytest.raises(HandboneError) as caught:
        load.find_recipe("quickstrat")
    known = ", ".join(sorted(name.removesuffix(".toml") for name in RECIPES))
    assert str(caught.value) == (
        "quickstrat: no such recipe, neither a file nor one that is shipped. "
        f"Did you mean 'quickstart'? Known: {known}."
    )


def test_a_missing_file_and_a_file_that_is_no_toml(tmp_path, write):
    with pytest.raises(HandboneError) as caught:
        read(tmp_path / "none.toml")
    assert str(caught.value) == (
        f"{tmp_path / 'none.toml'}: no such file or folder; expected a TOML file."
    )
    broken = write("name = \n")
    with pytest.raises(HandboneError, match=r"recipe\.toml: not TOML: Invalid value \(at line 1"):
        read(broken)


def test_root_is_relative_to_the_recipe_that_names_it(tmp_path, write):
    write("[data]\nroot = '../images'\n" + "[train]\nepochs = 3\n", "deep/base.toml")
    child = write("extends = 'deep/base.toml'\n" + LEAST)
    assert read(child).data.root == tmp_path / "images"


@pytest.mark.parametrize("value", ["images", "2024"])
def test_root_of_set_is_relative_to_the_working_folder(tmp_path, monkeypatch, write, value):
    monkeypatch.chdir(tmp_path)
    recipe = read(write(LEAST, "deep/recipe.toml"), f"data.root={value}")
    assert recipe.data.root == tmp_path / value


def test_a_child_overrides_key_by_key_and_keeps_the_rest(write):
    write(
        'name = "base"\n[model]\nname = "nnunet"\nfeatures = [4, 8]\n[loss]\nname = "dice"\n'
        '[train]\nepochs = 3\nbatch_size = 7\n[[tta]]\nname = "hflip"\n[[tta]]\nname = "vflip"\n',
        "base.toml",
    )
    child = read(
        write(
            'extends = "base.toml"\nname = "child"\n[train]\nepochs = 5\n[model]\nnorm = "batch"\n'
            '[[tta]]\nname = "rot90"\n'
        )
    )
    assert (child.name, child.train.epochs, child.train.batch_size) == ("child", 5, 7)
    assert child.model.options == {"features": [4, 8], "norm": "batch"}
    assert [each.name for each in child.tta] == ["rot90"]


def test_a_model_of_another_name_starts_afresh(write):
    base = LEAST.replace('"nnunet"', '"nnunet"\nfeatures = [4, 8]')
    write(base, "base.toml")
    child = write('extends = "base.toml"\n[model]\nname = "hrnet_w18"\npretrained = true\n')
    assert read(child).model.options == {"pretrained": True}
    assert read(child, "model.name=nnunet").model.options == {}
    assert read(child, "model.name=hrnet_w18").model.options == {"pretrained": True}


def test_grandparents_count(write):
    write(LEAST + "[train]\nepochs = 1\nbatch_size = 1\nval_every = 1\n", "a.toml")
    write("extends = 'a.toml'\n[train]\nepochs = 2\nbatch_size = 2\n", "b.toml")
    train = read(write("extends = 'b.toml'\n[train]\nepochs = 3\n", "c.toml")).train
    assert (train.epochs, train.batch_size, train.val_every) == (3, 2, 1)


def test_a_circle_is_refused(write):
    first = write("extends = 'b.toml'\n", "a.toml")
    second = write("extends = 'a.toml'\n", "b.toml")
    with pytest.raises(HandboneError) as caught:
        read(first)
    assert str(caught.value).startswith(str(second.parent))
    assert str(caught.value).endswith(
        "recipes extend each other in a circle: a.toml -> b.toml -> a.toml."
    )


def test_a_missing_parent_is_named(write):
    path = write("extends = 'none.toml'\n")
    with pytest.raises(HandboneError) as caught:
        read(path)
    assert str(caught.value) == (
        f"{path.parent / 'none.toml'}: no such file or folder; "
        f"expected the recipe that {path} extends."
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.epochs=5", (("train", "epochs"), 5)),
        ("a . b = 1.5", (("a", "b"), 1.5)),
        ("model.name=hrnet_w18", (("model", "name"), "hrnet_w18")),
        ("x=true", (("x",), True)),
        ("x=[1, 2]", (("x",), [1, 2])),
        ("x={ a = 1 }", (("x",), {"a": 1})),
        ("x=a=b", (("x",), "a=b")),
        ("x=", (("x",), "")),
    ],
)
def test_the_value_of_set_is_toml_or_a_bare_word(text, expected):
    assert load.parse_override(text) == expected


@pytest.mark.parametrize("text", ["train.epochs", "=5", "train..epochs=5"])
def test_set_without_a_key_or_value(text):
    with pytest.raises(HandboneError) as caught:
        load.parse_override(text)
    assert str(caught.value) == f"--set {text}: expected KEY=VALUE, for example train.epochs=5."


def test_set_goes_through_the_same_schema(write):
    path = write(LEAST + "[train]\nepochs = 3\nbatch_size = 7\n")
    train = read(path, "train.epochs=4", "train.epochs=5").train
    assert (train.epochs, train.batch_size) == (5, 7)
    with pytest.raises(RecipeError) as caught:
        read(path, "train.epochs=many", "train.batch_size=0")
    assert caught.value.problems == [
        "--set: train.epochs = 'many': expected a whole number.",
        "--set: train.batch_size = 0: expected 1 or more.",
    ]


def test_without_empty_values_in_the_table(write):
    table = load.to_table(read(write(LEAST)))
    assert "root" not in table["data"]
    assert table["model"] == {"name": "nnunet"}


def test_mistakes_name_the_option_that_was_typed(write):
    with pytest.raises(RecipeError) as caught:
        load.load_recipe(str(write(LEAST)), installed(), ["data.folds=x"], fold=-1)
    assert caught.value.problems == [
        "--set: data.folds = 'x': expected a whole number.",
        "--fold: data.fold = -1: expected 0 or more.",
    ]


def test_fold_comes_after_set(write):
    recipe = load.load_recipe(str(write(LEAST)), installed(), ["data.fold=1"], fold=3)
    assert recipe.data.fold == 3


def test_an_ensemble_is_told_from_the_recipe_of_one_model():
    with pytest.raises(HandboneError) as caught:
        read("ensembles/winners")
    assert str(caught.value) == (
        "ensembles/winners: is an ensemble recipe, which names the recipes of its members; "
        "`hb ensemble run ensembles/winners` takes it, and here one of them is expected."
    )


def test_every_option_of_every_plugin_at_its_default(write):
    text = LEAST.replace('"dice"', '"combined"').replace("[loss]", "features = [4, 8]\n[loss]")
    nested = '{ name = "combined", terms = [{ name = "focal" }] }'
    terms = f'terms = [{{ name = "dice", smooth = 3 }}, {nested}]\n'
    recipe = read(write(text + terms + '[[tta]]\nname = "rot90"\n'))
    table = load.to_table(load.with_defaults(recipe, installed()))
    assert table["model"] == {
        "name": "nnunet", "features": [4, 8], "convs_per_stage": 2, "norm": "instance",
        "plan": False, "deep_supervision": False,
    }  # fmt: skip
    assert table["loss"]["terms"] == [
        {"name": "dice", "weight": 1.0, "batch": True, "smooth": 3.0},
        {
            "name": "combined",
            "weight": 1.0,
            "terms": [{"name": "focal", "weight": 1.0, "alpha": 0.5, "gamma": 2.0}],
        },
    ]
    assert table["tta"] == [{"name": "rot90", "turns": 1}]
    assert len(table["data"]["class_names"]) == 29


def test_a_whole_recipe_stays_as_it_is(write):
    whole = load.with_defaults(read("quickstart"), installed())
    assert load.with_defaults(whole, installed()) == whole
    assert read(write(load.to_toml(whole))) == whole


def test_the_split_is_relative_to_its_recipe(write, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    base = write(LEAST + '[data]\nfolds_file = "folds.toml"\n')
    above = tmp_path / "other" / "above.toml"
    above.write_text(f'extends = "../{base.name}"\n')
    monkeypatch.chdir(tmp_path / "other")
    assert read(above).data.folds_file == tmp_path / "folds.toml"
    mine = tmp_path / "other" / "mine.toml"
    assert read(above, "data.folds_file=mine.toml").data.folds_file == mine
    again = load.from_table(load.to_table(read(base)), installed(), "run")
    assert again.data.folds_file == tmp_path / "folds.toml"
    assert "folds_file" not in load.to_table(read(write(LEAST)))["data"]


def test_a_cache_may_be_a_folder_or_off(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    recipe = tmp_path / "below" / "recipe.toml"

    def cache(said, *overrides):
        recipe.write_text(f"data = {{ cache = {said} }}\n{LEAST}")
        return read(recipe, *overrides).data.cache

    assert cache("'kept'") == tmp_path / "below" / "kept"
    assert cache("false") is False
    assert cache("true") is True
    assert cache("true", "data.cache=kept") == tmp_path / "kept"
    assert cache("true", "data.cache=false") is False


def test_a_name_said_last_keeps_the_keys_said_before(write):
    path = write(LEAST)
    for overrides in (
        ("optimizer.lr=0.5", "optimizer.name=sgd"),
        ("optimizer.name=sgd", "optimizer.lr=0.5"),
    ):
        optimizer = read(path, *overrides).optimizer
        assert (optimizer.name, optimizer.lr) == ("sgd", 0.5)


def test_weights_are_relative_to_the_recipe_that_names_them(write, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    write(LEAST.replace("[loss]", 'weights = "old.safetensors"\n[loss]'), "base.toml")
    child = write('extends = "../base.toml"\n[model]\npartial = true\n', "other/child.toml")
    monkeypatch.chdir(tmp_path / "other")
    model = read(child).model
    assert (model.weights, model.partial) == (tmp_path / "old.safetensors", True)
    assert model.options == {}
    mine = tmp_path / "other" / "mine.safetensors"
    assert read(child, "model.weights=mine.safetensors").model.weights == mine
    assert read(child, "model.weights=7").model.weights == tmp_path / "other" / "7"
    assert read(write(load.to_toml(read(child)), "again/r.toml")).model == model
    whole = load.with_defaults(read(child), installed()).model
    assert (whole.weights, whole.partial, whole.options["norm"]) == (
        tmp_path / "old.safetensors", True, "instance",
    )  # fmt: skip


def test_a_model_of_another_name_has_other_weights(write):
    base = LEAST.replace("[loss]", 'weights = "old.safetensors"\npartial = true\n[loss]')
    path = write(base)
    assert read(path, "model.name=unet").model.weights is None


def test_a_tracker_is_a_name_or_a_table_and_gets_its_options_in_full(write):
    path = write(f'{LEAST}[tracking]\ntrackers = ["jsonl", "tensorboard"]\n')
    assert read(path).tracking.trackers == ("jsonl", "tensorboard")
    whole = load.with_defaults(read(path), installed())
    assert load.to_table(whole)["tracking"] == {
        "trackers": ["jsonl", {"name": "tensorboard", "pictures": True}], "pictures": 2,
    }  # fmt: skip
    assert load.with_defaults(whole, installed()) == whole
    assert read(write(load.to_toml(whole), "again.toml")) == whole
    other = read(path, "tracking.trackers=[{name = 'wandb', mode = 'offline'}]")
    assert [(each.name, each.options) for each in other.tracking.sections] == [
        ("jsonl", {}), ("wandb", {"mode": "offline"}),
    ]  # fmt: skip
