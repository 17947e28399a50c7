from __future__ import annotations

import pytest

from handbone_cli.errors import HandboneError, RecipeError, closest, differences


@pytest.mark.parametrize(
    ("word", "known", "said"),
    [
        ("nnunt", ["unet", "nnunet"], "Did you mean 'nnunet'? Known: nnunet, unet."),
        ("zzz", ["unet", "nnunet"], "Known: nnunet, unet."),
        ("zzz", [], "None is known."),
        ("epoch", iter(["epochs"]), "Did you mean 'epochs'? Known: epochs."),
    ],
)
def test_the_nearest_name_and_the_list(word, known, said):
    assert closest(word, known) == said


ELSEWHERE = ["train.epochs", "train.batch_size", "predict.batch_size", "seed"]


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("epochs", "Did you mean 'train.epochs'? Known: epoch_size, seeds."),
        ("seed", "Did you mean 'seed'? Known: epoch_size, seeds."),
        ("epoch_siz", "Did you mean 'epoch_size'? Known: epoch_size, seeds."),
        (
            "batch_size",
            "Did you mean 'train.batch_size' or 'predict.batch_size'? Known: epoch_size, seeds.",
        ),
        (
            "batch_sze",
            "Did you mean 'train.batch_size' or 'predict.batch_size'? Known: epoch_size, seeds.",
        ),
        ("zzz", "Known: epoch_size, seeds."),
    ],
)
def test_a_name_of_another_place_word_for_word_comes_first_then_what_is_most_alike(word, said):
    assert closest(word, ["epoch_size", "seeds"], ELSEWHERE) == said


DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"train": {"epochs": 60}}, {"train": {"epochs": 61}}, ["train.epochs (60 then, 61 now)"]),
        ({"a": 1, "b": {"c": 2}}, {"a": 1, "b": {"c": 2}}, []),
        ({"b": True}, {"c": None}, ["b (true then, none now)"]),
        ({"root": "/data"}, {}, ["root (/data then, none now)"]),
        (
            {"tta": []},
            {"tta": [{"name": "hflip"}, {"name": "scale", "factor": 0.8}]},
            ["tta (none then, hflip, scale:factor=0.8 now)"],
        ),
        ({"w": DIGEST}, {"w": "x"}, ["w (01234567... then, x now)"]),
        ({"f": [*range(9)]}, {"f": [1]}, ["f (0, 1, 2, 3, 4, 5, 6, 7, ... then, 1 now)"]),
        ({"a": {"x": 1}}, {"a": False}, ["a (x=1 then, false now)"]),
    ],
)
def test_differences_in_the_words_of_recipes(old, new, said):
    assert list(differences(old, new).values()) == said


@pytest.mark.parametrize(
    ("problems", "said"),
    [
        (["a"], "1 mistake in the recipe:\n  a"),
        (["a", "b"], "2 mistakes in the recipe:\n  a\n  b"),
    ],
)
def test_a_recipe_error_counts_and_lists_its_mistakes(problems, said):
    error = RecipeError(problems)
    assert isinstance(error, HandboneError)
    assert str(error) == said
    assert error.problems == problems
