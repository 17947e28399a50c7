from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from handbone_cli.recipe.schema import Clahe, ComponentSection, Data, Recipe

LEAST = {"name": "x", "model": {"name": "nnunet"}, "loss": {"name": "dice"}}


def test_a_recipe_needs_a_name_a_model_and_a_loss():
    recipe = Recipe.model_validate(LEAST)
    assert (recipe.seed, recipe.train.epochs, recipe.data.clahe) == (21, 100, Clahe())
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate({})
    assert [error["loc"] for error in caught.value.errors()] == [("name",), ("model",), ("loss",)]


def test_the_schema_is_json_and_describes_every_section():
    schema = json.loads(json.dumps(Recipe.model_json_schema()))
    assert set(schema["properties"]) == set(Recipe.model_fields)
    assert schema["additionalProperties"] is False


def test_a_recipe_is_frozen():
    recipe = Recipe.model_validate(LEAST)
    with pytest.raises(ValidationError):
        recipe.seed = 3
    with pytest.raises(ValidationError):
        recipe.train.epochs = 3


def test_keys_beside_a_name_are_the_plugins():
    assert ComponentSection(name="nnunet", features=[1, 2]).options == {"features": [1, 2]}
    data = Data(dataset="generated", people=3, patch=64)
    assert data.dataset_options == {"people": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../x"},
        {"name": ""},
        {"seed": -1},
        {"data": {"fold": 5, "folds": 5}},
        {"data": {"folds": 1}},
        {"data": {"clahe": True}},
        {"augment": {"shift": 1.5}},
        {"augment": {"scale": 1}},
        {"optimizer": {"lr": 0}},
        {"train": {"epochs": 0}},
        {"train": {"precision": "fp8"}},
        {"predict": {"stride": 0}},
    ],
)
def test_values_out_of_bounds_are_refused(change):
    with pytest.raises(ValidationError):
        Recipe.model_validate(LEAST | change)


def test_clahe_can_be_switched_off():
    assert Data(clahe=False).clahe is False
