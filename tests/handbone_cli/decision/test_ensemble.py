from __future__ import annotations

import contextlib

import numpy as np
import pytest

from handbone_cli.decision.ensemble import Settings, Workplace, optimize, usable_images
from handbone_cli.errors import HandboneError
from handbone_cli.masks import PackedMask

SIZE = (24, 30)
IMAGES = [f"image{number}" for number in range(8)]
TRUTH = np.zeros((2, *SIZE), bool)
TRUTH[0, 4:14, 4:14] = TRUTH[1, 10:20, 12:26] = True


@contextlib.contextmanager
def quiet(what, unit):
    told = []
    yield lambda done, total: told.append((done, total))
    assert told[-1][0] == told[-1][1] > 0, what


def shifted(index, pixels, seed):
    """The truth with noise; one class moved sideways."""
    dense = TRUTH.copy()
    dense[index] = np.roll(dense[index], pixels, axis=1)
    draw = np.random.default_rng(seed)
    return np.where(dense, draw.integers(120, 250, dense.shape), draw.integers(0, 90, dense.shape))


@pytest.fixture
def pair(make_store):
    """Two models, each good at one of two bones, on two images each of four people."""

    def pair(**details):
        return [
            make_store(
                f"model{index}",
                {
                    name: shifted(1 - index, 3, (index, place)).astype(np.uint8)
                    for place, name in enumerate(IMAGES)
                },
                **details,
            )
            for index in (0, 1)
        ]

    return pair


@pytest.fixture
def labels(make_labels):
    return make_labels({name: PackedMask.from_dense(TRUTH) for name in IMAGES})


@pytest.fixture
def run(tmp_path):
    def run(stores, labels, **changes):
        place = Workplace(tmp_path / "statistics", map, quiet)
        return optimize(stores, labels, Settings(**{"seed": 0} | changes), place)

    return run


def said(call, *arguments, **named):
    with pytest.raises(HandboneError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def test_each_bone_goes_to_the_model_that_knows_it(run, pair, labels):
    stores = pair()
    decision, appraisal = run(stores, labels)
    assert appraisal.kept
    assert appraisal.changed == (True, True)
    assert decision.weights[0, 0] > 0.5 > decision.weights[0, 1]
    assert decision.weights[1, 1] > 0.5 > decision.weights[1, 0]
    assert decision.thresholds.tolist() == [0.5, 0.5]
    assert decision.members == tuple(store.path for store in stores)
    assert decision.digests == tuple(store.digest() for store in stores)
    assert (decision.scores["images"], decision.scores["people"]) == (8, 4)
    assert decision.scores["gain"] == appraisal.overall.left_out > 0
    assert decision.search == {
        "scope": "class", "method": "table", "metric": "hard", "thresholds": "half", "folds": 5,
        "seed": 0, "allow_seen": False, "all_in": False,
    }  # fmt: skip
    assert decision.scores["cross_fitted"] > decision.scores["uniform"]


def test_models_alike_stay_uniform(run, make_store, labels):
    planes = {name: shifted(0, 2, 5).astype(np.uint8) for name in IMAGES}
    decision, appraisal = run([make_store(name, planes) for name in "xy"], labels)
    assert not appraisal.kept
    assert decision.weights.tolist() == [[0.5, 0.5]] * 2


def test_people_trained_on_are_refused_unless_said_knowingly(run, pair, labels):
    stores = pair(seen=("ID1",))
    assert said(run, stores, labels) == (
        f"{stores[0].path}: its model was trained on the people of 2 of these images "
        "(image2, ...), so their masks prove nothing; predict people left out, or say "
        "--allow-seen to use them knowingly."
    )
    decision, _ = run(stores, labels, allow_seen=True)
    assert decision.search["allow_seen"] is True


def test_only_labelled_images_count(pair, make_labels):
    stores = pair(seen=("ID1",))
    some = make_labels({name: PackedMask.from_dense(TRUTH) for name in IMAGES[:2] + IMAGES[4:]})
    assert usable_images(stores, some, allow_seen=False) == IMAGES[:2] + IMAGES[4:]
    assert said(usable_images, stores, make_labels({}), allow_seen=True) == (
        f"{stores[0].path}: none of its images has labels; see --labels."
    )


def test_stores_of_other_classes_are_refused(run, pair, labels, make_store):
    first, _ = pair()
    planes = {name: np.zeros((2, *SIZE), np.uint8) for name in IMAGES}
    other = make_store("other", planes, names=("x", "y"))
    assert said(run, [first, other], labels) == (
        f"{other.path}: has other classes than {first.path}."
    )


def test_one_store_has_nothing_to_be_weighed_against(run, pair, labels):
    store = pair()[0]
    assert said(run, [store], labels) == (
        f"{store.path}: one store has nothing to be weighed against; name two or more, or use it "
        f"as it is: `hb submit {store.path}`."
    )


RULE = {"name": "remove_small", "min_area": 5}


@pytest.mark.parametrize(
    ("second", "shared"), [([RULE], (RULE,)), ([], ()), ([{**RULE, "min_area": 6}], ())]
)
def test_spatial_rules_are_kept_where_all_members_agree(run, make_store, labels, second, shared):
    planes = {name: shifted(0, 2, 5).astype(np.uint8) for name in IMAGES}
    stores = [
        make_store("x", planes, settings={"postprocess": [RULE]}),
        make_store("y", planes, settings={"postprocess": second}),
    ]
    assert run(stores, labels)[0].postprocess == shared
