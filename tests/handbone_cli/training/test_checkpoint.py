from __future__ import annotations

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.networks.build import build_segmenter
from handbone_cli.networks.weights import save_tensors
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
        ("model.norm=batch", "model.norm (none then, batch now)"),
    ],
)
def test_another_recipe_is_refused_by_key(tmp_path, tiny_data, override, words):
    old = to_table(recipe_with(tiny_data))
    with pytest.raises(HandboneError) as caught:
        refuse_other_recipe(tmp_path / "last", old, recipe_with(tiny_data, override))
    assert str(caught.value) == (
        f"{tmp_path / 'last'}: was trained with another recipe: {words}; "
        "resume it with the recipe it began with, or start a new run with another -o."
    )


def test_five_differences_are_named_and_the_way_out(tmp_path, tiny_data):
    overrides = [f"augment.{key}=0.5" for key in ("shift", "scale", "rotate", "hflip", "gamma")]
    other = recipe_with(tiny_data, *overrides, "seed=4", "train.epochs=9")
    with pytest.raises(HandboneError) as caught:
        refuse_other_recipe(tmp_path, to_table(recipe_with(tiny_data)), other, "choose another -o")
    assert str(caught.value) == (
        f"{tmp_path}: was trained with another recipe: augment.gamma (0.0 then, 0.5 now), "
        "augment.hflip (0.0 then, 0.5 now), augment.rotate (0.0 then, 0.5 now), "
        "augment.scale (0.0 then, 0.5 now), augment.shift (0.0 then, 0.5 now), and 2 more; "
        "choose another -o."
    )


def test_a_key_that_the_schema_did_not_have_then_is_at_its_default(tmp_path, tiny_data):
    recipe = recipe_with(tiny_data)
    old = to_table(recipe)
    del old["train"]["channels_last"]
    refuse_other_recipe(tmp_path, old, recipe)
    with pytest.raises(HandboneError, match=r"channels_last \(false then, true now\)"):
        refuse_other_recipe(tmp_path, old, recipe_with(tiny_data, "train.channels_last=true"))


def test_a_key_that_the_schema_has_no_more_is_a_difference(tmp_path, tiny_data):
    recipe = recipe_with(tiny_data)
    old = to_table(recipe)
    old["train"]["magic"] = 3
    with pytest.raises(HandboneError, match=r"recipe: train.magic \(3 then, none now\); "):
        refuse_other_recipe(tmp_path, old, recipe)


def test_what_may_change(tmp_path, tiny_data):
    recipe = recipe_with(tiny_data)
    refuse_other_recipe(tmp_path, to_table(recipe), recipe)
    for free in ("tracking.trackers=[]", "data.workers=2", "data.cache_mb=1"):
        refuse_other_recipe(tmp_path, to_table(recipe), recipe_with(tiny_data, free))
    with pytest.raises(HandboneError, match=r"data\.patch"):
        refuse_other_recipe(tmp_path, to_table(recipe), recipe_with(tiny_data, "data.patch=32"))


def test_weights_know_their_classes(trained_run):
    recipe = recipe_with(trained_run.data)
    model = build_segmenter(recipe, installed(), 4)
    load_model_weights(trained_run.run / "best.safetensors", model, BONES)
    with pytest.raises(HandboneError, match=r"was trained for 4 classes \(finger-1, Capitate"):
        load_model_weights(trained_run.run / "best.safetensors", model, BONES[:3])


def test_weights_that_were_imported_are_no_checkpoint(tmp_path):
    save_tensors(tmp_path / "w.safetensors", {}, {"imported": {}})
    with pytest.raises(HandboneError) as caught:
        load_model_weights(tmp_path / "w.safetensors", None, BONES)
    assert str(caught.value) == (
        f"{tmp_path / 'w.safetensors'}: names no classes, so `hb train` did not write it."
    )


def test_other_initial_weights_are_another_recipe(tmp_path, tiny_data):
    asked = ("model.weights=old.safetensors", "model.partial=true")
    old = to_table(recipe_with(tiny_data, *asked))
    refuse_other_recipe(tmp_path, old, recipe_with(tiny_data, *asked))
    with pytest.raises(
        HandboneError, match=r"model\.partial \(true then, none now\), model\.weights"
    ):
        refuse_other_recipe(tmp_path, old, recipe_with(tiny_data))
