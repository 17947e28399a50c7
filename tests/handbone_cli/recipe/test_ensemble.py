from __future__ import annotations

import pytest

from handbone_cli.errors import HandboneError, RecipeError
from handbone_cli.host.registry import installed
from handbone_cli.recipe.ensemble import is_ensemble, load_ensemble

MEMBER = 'name = "{}"\n[model]\nname = "nnunet"\n[loss]\nname = "dice"\n'


@pytest.fixture
def write(tmp_path):
    """Write members a, b and an ensemble of the given text; its path."""

    def write(text, names=("a", "b")):
        (tmp_path / "sub").mkdir()
        for file, name in zip("ab", names, strict=True):
            (tmp_path / f"{file}.toml").write_text(MEMBER.format(name))
        (tmp_path / "sub" / "both.toml").write_text(text)
        return tmp_path / "sub" / "both.toml"

    return write


BOTH = 'name = "both"\nmembers = ["../a.toml", "../b.toml"]\n'


def test_members_are_found_beside_the_ensemble_and_take_the_overrides(write, tmp_path):
    path = write(BOTH)
    ensemble = load_ensemble(str(path), installed(), ["train.epochs=3"])
    assert (ensemble.name, ensemble.per_class) == ("both", True)
    assert [file.resolve() for file, _ in ensemble.members] == [
        tmp_path / "a.toml",
        tmp_path / "b.toml",
    ]
    assert [(r.name, r.train.epochs) for _, r in ensemble.members] == [("a", 3), ("b", 3)]
    assert is_ensemble(path)
    assert not is_ensemble(tmp_path / "a.toml")


def test_all_mistakes_of_an_ensemble_at_once(write):
    path = write('name = "both"\nmembers = ["../a.toml"]\nper_clas = true\n')
    with pytest.raises(RecipeError) as caught:
        load_ensemble(str(path), installed())
    assert caught.value.problems == [
        (f"{path}: members = ['../a.toml']: expected at least 2 values, not 1."),
        (
            f"{path}: per_clas = true: there is no such key. Did you mean 'per_class'? "
            "Known: members, name, per_class."
        ),
    ]


def test_two_members_of_one_name_are_refused(write):
    path = write(BOTH, names=("a", "a"))
    with pytest.raises(HandboneError) as caught:
        load_ensemble(str(path), installed())
    assert str(caught.value) == f"{path}: two members are named 'a'; names must differ."


def test_a_missing_member_is_named(write):
    path = write(BOTH.replace("b.toml", "c.toml"))
    with pytest.raises(HandboneError) as caught:
        load_ensemble(str(path), installed())
    assert str(caught.value) == (
        f"{path.parent / '../c.toml'}: no such file or folder; expected a TOML file."
    )


def test_a_mistake_in_a_member_names_its_file(write, tmp_path):
    path = write(BOTH)
    (tmp_path / "b.toml").write_text(MEMBER.format("b") + "[train]\nepochs = 0\n")
    with pytest.raises(RecipeError) as caught:
        load_ensemble(str(path), installed())
    (line,) = caught.value.problems
    assert line == (f"{path.parent / '../b.toml'}: train.epochs = 0: expected 1 or more.")


@pytest.mark.parametrize(
    "text", [MEMBER.format("a"), 'extends = "a.toml"\n', "[train]\nepochs = 3\n"]
)
def test_the_recipe_of_one_model_is_told_from_an_ensemble(tmp_path, text):
    path = tmp_path / "one.toml"
    path.write_text(text)
    with pytest.raises(HandboneError) as caught:
        load_ensemble(str(path), installed())
    assert str(caught.value) == (
        f"{path}: is the recipe of one model; `hb train {path}` takes it, and here an ensemble "
        "recipe is expected, which names `members`."
    )


def test_keys_of_recipes_are_not_offered_to_an_ensemble(write):
    with pytest.raises(RecipeError) as caught:
        load_ensemble(str(write(BOTH + "fold = 3\n")), installed())
    assert caught.value.problems[0].endswith("no such key. Known: members, name, per_class.")
