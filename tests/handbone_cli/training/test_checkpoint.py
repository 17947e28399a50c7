from __future__ import annotations

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.networks.build import build_segmenter
from handbone_cli.recipe.load import load_recipe, to_table
from handbone_cli.testing import BONES
from handbone_cli.training.checkpoint import load_model_weights, refuse_other_recipe


def recipe_with(tiny_data, *overrides):
    return load_recipe(str(tiny_data.recipe), installed(), overrides)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("optimizer.lr=0.5", "optimizer.lr (0.02 then, 0.5 now)"),
        ("train.epochs=9", "train.epochs (2 then, 9 now)"),
        ("model.norm=batch", "model.norm (None then, 'batch' now)"),
    ],
)
def test_another_recipe_is_refused_by_key(tmp_path, tiny_data, override, words):
    old = to_table(recipe_with(tiny_data))
    with pytest.raises(HandboneError) as caught:
        refuse_other_recipe(tmp_path / "last", old, recipe_with(tiny_data, override))
    assert str(caught.value) == (
        f"{tmp_path / 'last'}: belongs to another recipe: {words}. "
        "Resume with the recipe it began with, or start a new run."
    )


def test_what_may_change(tmp_path, tiny_data):
    recipe = recipe_with(tiny_data)
    refuse_other_recipe(tmp_path, to_table(recipe), recipe)
    refuse_other_recipe(tmp_path, to_table(recipe), recipe_with(tiny_data, "tracking.trackers=[]"))


def test_weights_know_their_classes(trained_run):
    recipe = recipe_with(trained_run.data)
    model = build_segmenter(recipe, installed(), 4)
    load_model_weights(trained_run.run / "best.safetensors", model, BONES)
    with pytest.raises(HandboneError, match=r"was trained for 4 classes \(finger-1, Capitate"):
        load_model_weights(trained_run.run / "best.safetensors", model, BONES[:3])
