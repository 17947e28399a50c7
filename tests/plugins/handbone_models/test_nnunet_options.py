from __future__ import annotations

import pytest
from pydantic import ValidationError

from handbone_cli.errors import RecipeError
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe, to_table, with_defaults
from handbone_models.nnunet_options import NnunetOptions


@pytest.mark.parametrize("features", [(8,), (), (8, 0), (8, -1)])
def test_a_unet_has_two_stages_of_positive_width(features):
    with pytest.raises(ValidationError):
        NnunetOptions(features=features)


@pytest.mark.parametrize("model", ["nnunet", "nnunet_resenc"])
def test_features_beside_a_plan_are_refused(model):
    name = ("nnunet", installed(), [f"model.name={model}", "model.plan=true"])
    load_recipe(*name)
    with pytest.raises(RecipeError) as caught:
        load_recipe(name[0], name[1], [*name[2], "model.features=[8, 8]"])
    (problem,) = caught.value.problems
    assert problem.endswith(": makes the features itself, and `features` are given; leave one out.")
    assert problem.startswith("--set: model.plan = ")


def test_a_recipe_with_its_defaults_can_be_read_again():
    for overrides in (["model.name=nnunet_resenc", "model.plan=true"], ["model.name=nnunet"]):
        recipe = load_recipe("quickstart", installed(), overrides)
        complete = with_defaults(recipe, installed())
        assert complete.model.options["plan"] == (len(overrides) == 2)
        assert to_table(with_defaults(complete, installed())) == to_table(complete)
