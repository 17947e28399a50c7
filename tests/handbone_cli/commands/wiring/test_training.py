from __future__ import annotations

from types import SimpleNamespace

import pytest

from handbone_cli.commands.wiring.training import describe, pictured
from handbone_cli.host.interfaces import Sample
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe


def people(count, each=2, labelled=True):
    labels = dict if labelled else None
    return [Sample(f"{p}{i}", f"P{p}", str, labels) for p in range(count) for i in range(each)]


@pytest.mark.parametrize(
    ("count", "chosen"),
    [
        (0, set()),
        (1, {"00"}),
        (2, {"00", "30"}),
        (3, {"00", "20", "40"}),
        (6, {f"{p}0" for p in range(6)}),
        (8, {f"{p}0" for p in range(6)} | {"01", "31"}),
        (99, {f"{p}{i}" for p in range(6) for i in range(2)}),
    ],
)
def test_people_are_evenly_spread(count, chosen):
    assert pictured(people(6), count) == chosen


def test_images_without_labels_are_not_drawn():
    assert pictured(people(3, labelled=False), 2) == set()
    assert pictured([*people(1, labelled=False), Sample("x", "P9", str, dict)], 2) == {"x"}
    assert pictured([], 2) == set()


@pytest.mark.parametrize(
    ("said", "noted"),
    [({}, []), ({"mirror_pairs": [("left", "right")]}, [("left", "right")])],
)
def test_a_run_notes_which_names_change_places_in_a_mirror(said, noted):
    recipe = load_recipe("quickstart", installed(), ["data.root=data"])
    dataset = SimpleNamespace(class_names=("left", "right"), **said)
    assert describe(recipe, dataset, [])["mirror_pairs"] == noted
