from __future__ import annotations

from types import SimpleNamespace

import pytest

from handbone_cli.commands.wiring.finetuning import (
    continuation,
    refuse_leak,
    same_data,
    started_from,
    trainings,
)
from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe, to_table


@pytest.fixture(scope="module")
def recipe(tiny_data):
    return load_recipe(str(tiny_data.recipe), installed())


def header(recipe, people, root=None, **more):
    table = to_table(recipe)["data"]
    return {"recipe": {"data": {**table, "root": root or table["root"]}},
            "trained_persons": people, **more}  # fmt: skip


def match_of(said):
    file = SimpleNamespace(header=said, path="old.safetensors")
    return SimpleNamespace(file=file, facts=lambda: {"loaded": 3})


LEFT_OUT = [SimpleNamespace(person=name) for name in ("ID001", "ID001", "ID002")]


def test_people_left_out_whom_the_weights_know(recipe):
    match = match_of(header(recipe, ["ID002", "ID005"]))
    with pytest.raises(HandboneError) as caught:
        refuse_leak(match, recipe, LEFT_OUT)
    assert str(caught.value) == (
        "old.safetensors: was trained on 1 of the 2 people whom fold 2 leaves out (ID002), so that "
        "their Dice would prove nothing; leave out whom it left out (data.fold), or train on "
        'everybody (train.on = "all").'
    )


@pytest.mark.parametrize("left_out", [[], LEFT_OUT])
def test_others_are_no_leak(recipe, left_out, capsys):
    refuse_leak(match_of(header(recipe, ["ID005"])), recipe, left_out)
    refuse_leak(None, recipe, left_out)
    refuse_leak(match_of({}), recipe, left_out)
    assert capsys.readouterr().err == ""


def test_people_of_other_data_may_have_the_same_names(recipe, capsys):
    refuse_leak(match_of(header(recipe, ["ID002"], "/generated")), recipe, LEFT_OUT)
    assert capsys.readouterr().err == (
        "old.safetensors: was trained on 1 of the 2 people whom fold 2 leaves out, if /generated "
        "has the same people under these names\n"
    )


def test_what_the_weights_of_the_weights_were_trained_on_counts(recipe):
    """Over a run on other data, people of the first one come back."""
    first = match_of(header(recipe, ["ID002"]))
    between = header(recipe, ["P9"], "/other", initial_weights=started_from(first))
    last = match_of(header(recipe, ["ID005"], initial_weights=started_from(match_of(between))))
    assert [people for _, people in trainings(last.file.header)] == [{"ID005"}, {"P9"}, {"ID002"}]
    with pytest.raises(HandboneError, match="ID002"):
        refuse_leak(last, recipe, LEFT_OUT)
    assert started_from(last)["loaded"] == 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"dataset": "coco", "root": "/a"}, {"dataset": "coco", "root": "/a"}, True),
        ({"dataset": "coco", "root": "/a"}, {"dataset": "coco", "root": "/b"}, False),
        ({"dataset": "coco", "root": "/a"}, {"dataset": "dicom", "root": "/a"}, False),
        ({"dataset": "coco", "root": "/a", "person": "x"}, {"dataset": "coco", "root": "/a"}, True),
        ({"dataset": "generated", "people": 3}, {"dataset": "generated", "people": 3}, True),
        ({"dataset": "generated", "people": 3}, {"dataset": "generated", "people": 4}, False),
        ({"dataset": "generated", "fold": 1}, {"dataset": "generated", "fold": 2}, True),
        ({"dataset": "coco"}, {"dataset": "coco", "root": "/a"}, False),
    ],
)
def test_same_data(one, other, same):
    assert same_data(one, other) is same


def test_what_a_continuation_changes(trained_run):
    file, changes = continuation(trained_run.run, installed())
    recipe = load_recipe(file, installed(), [*changes, "optimizer.lr=0.5"])
    assert recipe.model.weights == trained_run.run
    assert (recipe.train.epochs, recipe.scheduler.warmup_epochs) == (1, 0)
    assert recipe.optimizer.lr == 0.5, "what the user says comes last"
    assert load_recipe(file, installed(), changes).optimizer.lr == pytest.approx(0.002)
