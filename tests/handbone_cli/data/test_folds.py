from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from handbone_cli.data.folds import _features, assign, balance, divide
from handbone_cli.data.traits import PersonTraits, summarise_folds
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
        training, validation = divide(SAMPLES, groups, fold)
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


def test_the_random_deal_stays_what_it_was():
    dealt = assign((f"ID{p}" for p in range(10)), 3, 21)
    assert [dealt[f"ID{p}"] for p in range(10)] == [0, 2, 0, 1, 0, 2, 1, 1, 0, 2]


def simulated(people, seed, images=2):
    """As in FIELD.md: 11 % of the wrists bent; sex and age unknown for one in ten."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(people):
        bent = int(rng.random() < 0.07) + int(rng.random() < 0.15)
        left = int(rng.random() < 0.5) if images == 1 else 1
        sex = "female" if rng.random() < 0.4 else "male"
        age = float(rng.integers(20, 70))
        if rng.random() < 0.1:
            sex = age = None
        one = PersonTraits(
            f"ID{number:03d}", images, images, min(bent, images), left, images - left, sex, age
        )
        found.append(one)
    return found


@pytest.mark.parametrize(("count", "folds"), [(400, 5), (83, 4), (50, 10)])
def test_every_fold_has_its_share(count, folds):
    people = simulated(count, seed=count)
    groups = balance(people, folds, seed=3)
    assert list(groups) == [each.person for each in people]
    sizes = Counter(groups.values())
    assert sizes == Counter(assign(groups, folds, seed=3).values())
    young = np.quantile([each.age for each in people if each.age is not None], 0.25)
    for trait in (
        lambda each: each.bent,
        lambda each: each.sex == "female",
        lambda each: each.sex is None,
        lambda each: each.age is not None and each.age <= young,
    ):
        whole = sum(trait(each) for each in people) / count
        for fold in range(folds):
            mine = sum(trait(each) for each in people if groups[each.person] == fold)
            assert abs(mine - whole * sizes[fold]) < 1.7
    ages = [each.age for each in summarise_folds(people, groups).values()]
    random = [each.age for each in summarise_folds(people, assign(groups, folds, 3)).values()]
    assert max(ages) - min(ages) < (max(random) - min(random)) / 2


def test_pairs_of_traits_are_balanced_too():
    people = simulated(400, seed=5)

    def apart(groups):
        bent_women = Counter(
            groups[each.person] for each in people if each.bent and each.sex == "female"
        )
        return max(bent_women[fold] for fold in range(5)) - min(bent_women[f] for f in range(5))

    assert apart(balance(people, 5, 21)) <= 2
    assert apart(assign((each.person for each in people), 5, 21)) > 2


def test_sides_are_balanced_where_people_have_one_image():
    people = simulated(40, seed=2, images=1)
    groups = balance(people, 4, seed=1)
    left = [sum(each.left for each in people if groups[each.person] == fold) for fold in range(4)]
    assert max(left) - min(left) <= 1


def test_the_balanced_split_follows_the_seed_alone():
    people = simulated(60, seed=4)
    assert balance(people, 5, 1) == balance(people[::-1], 5, 1)
    assert balance(people, 5, 1) != balance(people, 5, 2)


@pytest.mark.parametrize(("count", "folds"), [(14, 4), (11, 3), (30, 4)])
def test_no_exchange_of_two_people_would_help(count, folds):
    people = simulated(count, seed=count)
    features = _features(people)
    balanced = balance(people, folds, seed=2)
    groups = np.array([balanced[each.person] for each in people])

    def cost(groups):
        apart = 0.0
        for fold in range(folds):
            mine = features[groups == fold]
            apart += ((mine.sum(axis=0) - len(mine) * features.mean(axis=0)) ** 2).sum()
        return apart

    dealt = assign(balanced, folds, seed=2)
    assert cost(groups) < cost(np.array([dealt[each.person] for each in people]))
    for one, other in combinations(range(count), 2):
        exchanged = groups.copy()
        exchanged[[one, other]] = groups[[other, one]]
        assert cost(exchanged) > cost(groups) - 1e-6


def test_where_nothing_is_known_the_random_deal_stays():
    people = [PersonTraits(f"ID{p}", images=1 + p % 2) for p in range(20)]
    for seed in range(5):
        assert balance(people, 3, seed) == assign((each.person for each in people), 3, seed)


def test_too_few_people_to_balance():
    with pytest.raises(HandboneError, match=r"data.folds = 5, but the data has 2 people"):
        balance(simulated(2, seed=1), 5, 1)
