from __future__ import annotations

import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from handbone_cli.decision import document
from handbone_cli.decision.document import Decision
from handbone_cli.errors import HandboneError
from handbone_cli.store.store import Store

PLANES = np.full((2, 6, 8), 200, np.uint8)


def said(call, *arguments):
    with pytest.raises(HandboneError) as caught:
        call(*arguments)
    return str(caught.value)


def decision(folder, **changes):
    values = {
        "class_names": ("Radius", "finger-1 (a.b)"),
        "weights": np.array([[1 / 3, 2 / 3], [0.1, 0.9]]),
        "thresholds": np.array([0.5, 0.437]),
        "members": (folder / "stores" / "a", folder / "b"),
        "digests": ("d1", "d2"),
        "models": ("m1", "m2"),
        "postprocess": ({"name": "remove_small", "min_area": 900},),
        "scores": {"gain": 0.001, "gain_error": math.nan, "kept": True},
    }
    return Decision(**{**values, **changes})


def test_a_decision_comes_back_from_its_file(tmp_path):
    old = decision(tmp_path)
    document.save(old, tmp_path / "out" / "decision.toml")
    new = document.load(tmp_path / "out" / "decision.toml")
    assert new.class_names == old.class_names
    assert np.array_equal(new.weights, old.weights)
    assert np.array_equal(new.thresholds, old.thresholds)
    assert [path.resolve() for path in new.members] == list(old.members)
    assert (new.digests, new.models) == (old.digests, old.models)
    assert new.postprocess == old.postprocess
    assert math.isnan(new.scores.pop("gain_error"))
    assert new.scores == {"gain": 0.001, "kept": True}


def test_member_paths_are_relative_to_the_file(tmp_path, monkeypatch):
    folder = tmp_path / "work"
    (folder / "stores" / "a").mkdir(parents=True)
    (folder / "b").mkdir()
    monkeypatch.chdir(folder)
    document.save(decision(Path()), Path("out.toml"))
    text = Path("out.toml").read_text()
    assert 'store = "stores/a"' in text
    assert str(tmp_path) not in text
    monkeypatch.chdir(tmp_path)
    shutil.move(folder, tmp_path / "moved")
    members = document.load(tmp_path / "moved" / "out.toml").members
    assert members == (tmp_path / "moved" / "stores" / "a", tmp_path / "moved" / "b")
    assert all(path.is_dir() for path in members)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[0.5, 0.4], [0.5, 0.5]], "a bone's weights must be 0 or more and sum to 1."),
        ([[1.5, -0.5], [0.5, 0.5]], "a bone's weights must be 0 or more and sum to 1."),
        ([[math.nan, 1], [0.5, 0.5]], "a bone's weights must be 0 or more and sum to 1."),
        ([[1.0], [1.0]], "every bone needs one weight a member."),
    ],
)
def test_wrong_weights_are_refused(tmp_path, weights, message):
    path = tmp_path / "decision.toml"
    document.save(decision(tmp_path, weights=np.array(weights)), path)
    assert said(document.load, path) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("class_names", "classes"), "not a decision file ('class_names' is missing or wrong)."),
        (("Radius = 0.5\n", ""), "not a decision file ('Radius' is missing or wrong)."),
        (("Radius = 0.5\n", 'Radius = "x"\n'), "not a decision file (could not convert"),
        (("digest = ", "digset = "), "not a decision file ('digest' is missing or wrong)."),
        (("format = 2", "format = "), "not TOML: "),
        (("format = 2", "format = 3"), "is a decision of format 3; this handbone reads 1 and 2."),
    ],
)
def test_what_is_no_decision(tmp_path, change, message):
    path = tmp_path / "decision.toml"
    document.save(decision(tmp_path), path)
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    assert said(document.load, path).startswith(f"{path}: {message}")


def test_a_decision_of_format_1_is_read(tmp_path):
    path = tmp_path / "decision.toml"
    document.save(decision(tmp_path, scores={"seed": 3}, search={"scope": "all"}), path)
    text = path.read_text()
    head, rest = text.split('[search]\nscope = "all"\n')
    path.write_text(head.replace("format = 2", "format = 1") + rest)
    old = document.load(path)
    assert (old.search, old.scores) == ({}, {"seed": 3})
    assert np.array_equal(old.weights, decision(tmp_path).weights)


def test_all_in_is_said_in_the_file(tmp_path):
    path = tmp_path / "decision.toml"
    document.save(decision(tmp_path, search={"all_in": True}), path)
    assert path.read_text().splitlines()[1].startswith("# --all-in: taken as found on all people")
    assert document.load(path).search == {"all_in": True}
    document.save(decision(tmp_path, search={"all_in": False}), path)
    assert "--all-in" not in path.read_text()


def test_a_decision_is_known_by_its_head(tmp_path):
    document.save(decision(tmp_path), tmp_path / "d.toml")
    assert document.is_decision((tmp_path / "d.toml").read_bytes())
    assert not document.is_decision(b"name = 'quickstart'\n")
    assert not document.is_decision(b"")


def test_a_missing_decision(tmp_path):
    assert said(document.load, tmp_path / "none.toml").startswith(
        f"{tmp_path / 'none.toml'}: no such file or folder; expected a decision (.toml)"
    )


def test_a_decision_laid_on_other_stores(tmp_path):
    old = decision(tmp_path)
    new = old.on([tmp_path / "x", tmp_path / "y"])
    assert new.members == (tmp_path / "x", tmp_path / "y")
    assert new.weights is old.weights
    assert new.thresholds is old.thresholds
    assert (new.postprocess, new.models) == (old.postprocess, old.models)
    assert new.digests == (), "other stores hold other images"
    text = said(old.on, [tmp_path / "x"])
    assert text.startswith("the decision has 2 members (a, b); got 1 ")


def test_one_store_alone_is_decided_at_one_half_by_its_recipes_rules(make_store):
    rules = [{"name": "remove_small", "min_area": 5}]
    store = make_store("s", {"a": PLANES}, settings={"postprocess": rules})
    alone = document.of_store(store.path, store)
    assert alone.weights.tolist() == [[1.0], [1.0]]
    assert alone.thresholds.tolist() == [0.5, 0.5]
    assert (alone.members, list(alone.postprocess)) == ((store.path,), rules)


def two_stores(make_store, second, **details):
    stores = [make_store("first", {"a": PLANES}), make_store("second", second, **details)]
    return Decision(
        stores[0].class_names,
        np.full((2, 2), 0.5),
        np.full(2, 0.5),
        tuple(store.path for store in stores),
        tuple(store.digest() for store in stores),
        tuple(str(store.manifest["settings"].get("weights", "")) for store in stores),
    )


@pytest.mark.parametrize("settings", [{}, {"weights": "m2"}])
def test_members_are_opened(make_store, settings):
    made = two_stores(make_store, {"b": PLANES, "a": PLANES}, settings=settings)
    assert [store.path for store in document.open_members(made)] == list(made.members)


def test_stores_in_another_order_are_refused(make_store):
    made = two_stores(make_store, {"a": PLANES}, settings={"weights": "m2"})
    swapped = made.on(made.members[::-1])
    assert said(document.open_members, swapped).startswith(
        f"{made.members[1]}: was not predicted with the model that the weights in this place "
    )


def test_a_store_of_one_fold_is_not_that_of_all(make_store):
    """Weights chosen out of fold are for the models of all folds, each on its own people."""
    made = two_stores(make_store, {"a": PLANES}, settings={"weights": ["m1", "m2"]})
    models = tuple(document.model_of(store) for store in map(Store.open, made.members))
    assert models == ("", "m1+m2")
    out_of_fold = replace(made, models=models)
    assert len(document.open_members(out_of_fold)) == 2
    one = make_store("test", {"a": PLANES}, settings={"weights": "m1"})
    assert said(document.open_members, out_of_fold.on([made.members[0], one.path])) == (
        f"{one.path}: was predicted with one model, and the weights in this place were chosen for "
        "the models of 2 folds, on people left out; predict with the mean of them (hb predict "
        "FOLDER, that of hb train --fold all), or at once with all members (hb predict FOLDER ... "
        "--weights)."
    )


def test_a_store_that_changed_is_refused_unless_named(make_store):
    made = two_stores(make_store, {"a": PLANES})
    make_store("first", {"a": PLANES, "z": PLANES})
    assert said(document.open_members, made).startswith(
        f"{made.members[0]}: has changed since the weights were chosen; "
    )
    assert len(document.open_members(made.on(made.members))) == 2


@pytest.mark.parametrize(
    ("second", "details", "message"),
    [
        ({"a": PLANES}, {"names": ("Ulna", "Radius")}, "{2}: has other classes than the rest"),
        ({"b": PLANES}, {}, "{1} and {2} have no image in common."),
        ({"a": PLANES[:, 1:]}, {}, "{2}: 'a' is another image than in {1}."),
        ({"a": PLANES}, {"sha256": "bb"}, "{2}: 'a' is another image than in {1}."),
    ],
)
def test_members_that_do_not_fit_are_refused(make_store, second, details, message):
    made = two_stores(make_store, second, **details)
    text = said(document.open_members, made)
    assert text.startswith(message.format("", *made.members))
