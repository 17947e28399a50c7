from __future__ import annotations

from collections import Counter

import pytest

from handbone_cli.data.folds import assign, split
from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import Sample

SAMPLES = [Sample(f"{p}-{side}", f"ID{p}", lambda: None) for p in range(13) for side in range(2)]


@pytest.mark.parametrize("folds", [2, 5, 13])
def test_people_never_part_and_folds_are_even(folds):
    groups = assign((s.person for s in SAMPLES), folds, seed=3)
    sizes = Counter(groups.values())
    assert set(sizes) == set(range(folds))
    assert max(sizes.values()) - min(sizes.values()) <= 1
    seen = []
    for fold in range(folds):
        training, validation = split(SAMPLES, folds, fold, seed=3)
        assert not {s.person for s in training} & {s.person for s in validation}
        assert len(training) + len(validation) == len(SAMPLES)
        seen += [s.image_id for s in validation]
    assert sorted(seen) == sorted(s.image_id for s in SAMPLES)


def test_folds_follow_the_seed_alone():
    people = [f"ID{p}" for p in range(13)]
    assert assign(people, 5, 1) == assign([*reversed(people), "ID3"], 5, 1)
    assert assign(people, 5, 1) != assign(people, 5, 2)


def test_too_few_people():
    with pytest.raises(HandboneError, match=r"data.folds = 5, but the data has 2 people"):
        assign(["a", "b", "b"], 5, 1)
