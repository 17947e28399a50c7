from __future__ import annotations

import pytest

from handbone_cli.errors import HandboneError, RecipeError, closest


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
