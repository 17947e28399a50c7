from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from handbone_cli.recipe.schema import (
    Clahe,
    ComponentSection,
    Data,
    ModelSection,
    Optimizer,
    Recipe,
    Scheduler,
    Tracking,
)

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
    model = ModelSection(name="nnunet", weights="x", partial=True, features=[1, 2])
    assert model.options == {"features": [1, 2]}
    assert (model.weights, model.partial) == (Path("x"), True)
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
        {"optimizer": {"betas": [0.9, 1.0]}},
        {"optimizer": {"name": ""}},
        {"scheduler": {"name": "step", "step_epochs": 0}},
        {"scheduler": {"name": "step", "factor": 1}},
        {"scheduler": {"name": "one_cycle", "pct_start": 1}},
        {"train": {"epochs": 0}},
        {"train": {"precision": "fp8"}},
        {"predict": {"stride": 0}},
        {"model": {"name": "nnunet", "weights": 5}},
        {"model": {"name": "nnunet", "partial": True}},
    ],
)
def test_values_out_of_bounds_are_refused(change):
    with pytest.raises(ValidationError):
        Recipe.model_validate(LEAST | change)


def test_clahe_can_be_switched_off():
    assert Data(clahe=False).clahe is False


@pytest.mark.parametrize(
    ("table", "filled"),
    [
        ({}, {"name": "cosine", "min_lr": 0.0}),
        ({"name": "step", "factor": 0.5}, {"name": "step", "factor": 0.5}),
        ({"name": "plateau"}, {"name": "plateau", "factor": 0.1, "patience": 2}),
        ({"name": "poly", "power": 2}, {"name": "poly", "power": 2.0}),
        (
            {"name": "one_cycle", "pct_start": None},
            {"name": "one_cycle", "pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4},
        ),
        ({"name": "none"}, {"name": "none"}),
    ],
)
def test_a_scheduler_records_the_keys_it_takes(table, filled):
    scheduler = Scheduler.model_validate(table)
    assert scheduler.model_dump(exclude_none=True) == {"warmup_epochs": 0.0, **filled}
    assert Scheduler.model_validate(scheduler.model_dump()) == scheduler


@pytest.mark.parametrize(
    ("table", "filled"),
    [
        ({}, {"name": "adamw", "betas": (0.9, 0.999), "eps": 1e-8}),
        ({"name": "adam", "eps": 1e-6}, {"name": "adam", "betas": (0.9, 0.999), "eps": 1e-6}),
        ({"name": "sgd"}, {"name": "sgd", "momentum": 0.9, "nesterov": True}),
        ({"name": "lion"}, {"name": "lion"}),
    ],
)
def test_an_optimizer_records_the_keys_it_takes(table, filled):
    optimizer = Optimizer.model_validate(table)
    plain = {"lr": 8e-5, "weight_decay": 0.01, "decay_all": True}
    assert optimizer.model_dump(exclude_none=True) == {**plain, **filled}
    assert Optimizer.model_validate(optimizer.model_dump(mode="json")) == optimizer


@pytest.mark.parametrize(
    ("section", "table", "said"),
    [
        (Scheduler, {"power": 2}, "cosine takes no power; its own keys are min_lr"),
        (
            Scheduler,
            {"name": "none", "factor": 0.5},
            "none takes no factor; it has no keys of its own",
        ),
        (
            Scheduler,
            {"name": "plateau", "step_epochs": 3},
            "plateau takes no step_epochs; its own keys are factor, patience",
        ),
        (Optimizer, {"momentum": 0.5}, "adamw takes no momentum; its own keys are betas, eps"),
        (
            Optimizer,
            {"name": "sgd", "betas": [0.9, 0.99]},
            "sgd takes no betas; its own keys are momentum, nesterov",
        ),
        (Optimizer, {"betas": [0.9]}, "adamw takes two betas, not 1"),
        (Optimizer, {"name": "sgd", "momentum": 0}, "nesterov = true needs a momentum above 0"),
        (Optimizer, {"options": {"lr": 1}}, "lr is a key of its own; move it out of options"),
    ],
)
def test_a_key_that_the_named_one_does_not_take(section, table, said):
    with pytest.raises(ValidationError) as caught:
        section.model_validate(table)
    assert [error["msg"] for error in caught.value.errors()] == [f"Value error, {said}"]


def test_every_key_of_optimizer_and_scheduler_is_described():
    definitions = Recipe.model_json_schema()["$defs"]
    for name in ("Optimizer", "Scheduler"):
        keys = definitions[name]["properties"].items()
        assert [key for key, it in keys if "description" not in it] == []


@pytest.mark.parametrize(
    ("train", "optimizer", "words"),
    [
        ({"ema": 0.9}, "adamw", "train.shard = true keeps no average; leave train.ema at 0"),
        ({"compile": True}, "adamw", "train.shard = true is not compiled"),
        ({"precision": "fp16"}, "adamw", "train.shard = true wants train.precision bf16 or fp32"),
        ({}, "lion", "train.shard = true wants optimizer.name adamw or adam or sgd"),
    ],
)
def test_what_does_not_go_with_shards(train, optimizer, words):
    table = {"name": "r", "model": {"name": "m"}, "loss": {"name": "l"}}
    with pytest.raises(ValidationError, match=words):
        Recipe.model_validate(
            {**table, "optimizer": {"name": optimizer}, "train": {"shard": True, **train}}
        )
    Recipe.model_validate({**table, "optimizer": {"name": optimizer}, "train": train})


@pytest.mark.parametrize(
    ("trackers", "names"),
    [
        ((), ["jsonl"]),
        (("jsonl",), ["jsonl"]),
        (("wandb",), ["jsonl", "wandb"]),
        ((ComponentSection(name="wandb"), "jsonl"), ["wandb", "jsonl"]),
        (({"name": "tensorboard", "pictures": False},), ["jsonl", "tensorboard"]),
    ],
)
def test_every_run_has_its_record_whatever_it_names(trackers, names):
    sections = Tracking(trackers=trackers).sections
    assert [section.name for section in sections] == names
    assert sections[-1].options == ({"pictures": False} if "tensorboard" in names else {})
