from __future__ import annotations

import numpy as np
import pytest

from handbone_cli import HAND_BONES
from handbone_cli.data.metadata import PersonRecord
from handbone_cli.data.traits import (
    FoldSummary,
    PersonTraits,
    known_traits,
    observe,
    summarise,
    summarise_folds,
)
from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import Sample


def bar(x, y, lean=0):
    """Eighty long, leaning to the right by so many px."""
    return np.array([[x, y], [x + 12, y], [x + 12 + lean, y - 80], [x + lean, y - 80]], np.float32)


def sample(person, name, side=None, bones="straight", stated=None):
    """A right hand has its thumb on the left."""
    xs = dict(zip(("finger-3", "finger-11", "finger-19"), (60, 100, 140), strict=True))
    if side == "left":
        xs = dict(zip(xs, reversed(xs.values()), strict=True))
    outlines = {HAND_BONES.index("Ulna"): [bar(100, 200)]}
    for bone, x in xs.items():
        lean = 80 if bones == "bent" else 0
        outlines[HAND_BONES.index(bone)] = [bar(x, 100, lean)]
    readers = {"none": None, "nothing": dict}
    return Sample(name, person, lambda: None, readers.get(bones, lambda: outlines), side=stated)


def test_what_is_seen_of_people():
    samples = [
        sample("ID2", "a", "left", "bent"),
        sample("ID1", "b", "right"),
        sample("ID2", "c", "right"),
        sample("ID1", "d", "right", stated="left"),  # whoever took the image knows better
        sample("ID3", "e", bones="nothing", stated="right"),
        sample("ID3", "f", bones="none"),
    ]
    records = {"ID001": PersonRecord("ID001", 40.0, "female", 50.0, 160.0)}
    told = []
    people = observe(samples, HAND_BONES, records, lambda done, total: told.append((done, total)))
    assert people == [
        PersonTraits("ID1", images=2, posed=2, left=1, right=1, sex="female", age=40.0),
        PersonTraits("ID2", images=2, posed=2, bent=1, left=1, right=1),
        PersonTraits("ID3", images=2, right=1),
    ]
    assert told == [(done, 6) for done in range(1, 7)]


def test_labels_that_cannot_be_read_are_named():
    def broken():
        raise HandboneError("x.json: not JSON.")

    with pytest.raises(HandboneError, match=r"x\.json: not JSON"):
        observe([Sample("a", "ID1", lambda: None, broken)], HAND_BONES, {}, lambda *_: None)


@pytest.mark.parametrize(
    ("person", "known"),
    [
        (PersonTraits("a", images=2), ()),
        (PersonTraits("a", posed=1), ("pose",)),
        (PersonTraits("a", right=1), ("side",)),
        (PersonTraits("a", left=1, sex="male"), ("side", "sex")),
        (PersonTraits("a", age=0.0), ("age",)),
    ],
)
def test_which_traits_somebody_has(person, known):
    assert known_traits([PersonTraits("b"), person]) == known


def test_shares_are_of_what_is_known():
    people = [
        PersonTraits("a", images=2, posed=2, bent=1, left=1, right=1, sex="female", age=30.0),
        PersonTraits("b", images=2, posed=1, bent=0, left=0, right=1, sex="male"),
        PersonTraits("c", images=1, age=50.0),
    ]
    assert summarise(people) == FoldSummary(3, 5, 1 / 3, 1 / 3, 1 / 2, 40.0)
    assert summarise_folds(people, {"a": 1, "b": 0, "c": 1}) == {
        0: FoldSummary(1, 2, 0.0, 0.0, 0.0, None),
        1: FoldSummary(2, 3, 0.5, 0.5, 1.0, 40.0),
    }
    assert list(summarise_folds(people, {"a": 1, "b": 0, "c": 1})) == [0, 1]
