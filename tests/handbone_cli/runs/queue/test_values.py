from __future__ import annotations

from pathlib import Path

import pytest

from handbone_cli.recipe.load import parse_override
from handbone_cli.runs.queue.values import combinations, flatten, override, part_name


@pytest.mark.parametrize(
    "value",
    [
        3, -1, 0.5, 1e-5, 5e22, True, False, "adamw", "true", "inf", "a b", 'q"uote', "back\\slash",
        "", "1", "é", [1, 2], ["a", "b"], [[1], [2.5]], [{"name": "dice", "weight": 1.0}], [],
        {"a b": {"c": [1]}}, float("inf"),
    ],
)  # fmt: skip
def test_set_reads_back_the_value_of_the_file(value):
    assert parse_override(override("a.b", value, Path())) == (("a", "b"), value)


def test_plain_words_stay_plain():
    assert override("optimizer.name", "adamw", Path()) == "optimizer.name=adamw"


def test_a_path_is_relative_to_the_queue(tmp_path):
    assert override("data.root", "../x y", tmp_path) == f"data.root={tmp_path.parent / 'x y'}"
    assert override("data.dataset", "x", tmp_path) == "data.dataset=x"
    assert override("data.cache", False, tmp_path) == "data.cache=false"


def test_dotted_and_nested_keys_are_the_same():
    table = {"a": {"b": 1, "c": {"d": 2}}, "e.f": 3, "g": {}}
    assert dict(flatten(table)) == {"a.b": 1, "a.c.d": 2, "e.f": 3, "g": {}}


def test_the_last_key_changes_fastest():
    made = list(combinations([("a", [1, 2]), ("b", ["x", "y"])]))
    assert made == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    assert list(combinations([])) == [{}]


@pytest.mark.parametrize(
    ("choice", "name"),
    [
        ({"optimizer.lr": 1e-5}, "lr=1e-05"),
        ({"optimizer.lr": 0.12345678901}, "lr=0.12345678901"),
        ({"model.name": "a", "loss.name": "b"}, "model.name=a-loss.name=b"),
        ({"model.features": [8, 16]}, "features=8,16"),
        ({"data.clahe": False}, "clahe=false"),
        ({"model.weights": "x/y z"}, "weights=x_y_z"),
        ({"a": ""}, "a=none"),
        ({}, ""),
    ],
)
def test_the_name_of_a_combination(choice, name):
    assert part_name(choice) == name
