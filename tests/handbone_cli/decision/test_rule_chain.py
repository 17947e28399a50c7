"""Rules in a row: the whole choice is made without the people that it is judged on."""

from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.decision.cross_fitting import groups_of
from handbone_cli.decision.decide import DecidedMasks
from handbone_cli.decision.document import Decision
from handbone_cli.decision.rule_chain import FOLDS, RuleChain
from handbone_cli.decision.rules import score_rules, try_rule
from handbone_cli.host.interfaces import Arrangement
from handbone_cli.masks import PackedMask
from handbone_cli.scores import clustered_error, dice_per_class

SIZE = (48, 64)
IMAGES = [f"image{number}" for number in range(20)]
NAMES = ("bone0", "bone1")
TRUTH = np.zeros((2, *SIZE), bool)
TRUTH[0, 4:20, 4:24] = TRUTH[1, 24:44, 30:50] = True


def silent(done, total):
    assert 0 < done <= total


class Counting:
    """A rule that counts what it sees."""

    def __init__(self, work):
        self.work, self.calls = work, 0

    def __call__(self, mask, name):
        self.calls += 1
        return self.work(mask, name)


def without_specks(mask, name):
    kept = mask.copy()
    kept[:, -8:] = False
    return kept


def filled(mask, name):
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    kept = mask.copy()
    if len(rows):
        kept[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = True
    return kept


def variant(rule, **said):
    return ({"name": "rule", **said}, rule)


@pytest.fixture
def masks(make_store):
    def masks(change):
        images = {}
        for number, name in enumerate(IMAGES):
            dense = TRUTH.copy()
            change(number, dense)
            images[name] = (dense * 230).astype(np.uint8)
        store = make_store("s", images)
        return DecidedMasks(Decision(NAMES, np.ones((2, 1)), np.full(2, 0.5), ()), [store])

    return masks


@pytest.fixture
def labels(make_labels):
    return make_labels({name: PackedMask.from_dense(TRUTH) for name in IMAGES})


def specks_and_holes(number, dense):
    dense[0, 4:8, -6:-2] = True
    dense[0, 8 : 12 + number % 3, 8:12] = False
    dense[1, 30:34, 36 : 40 + number % 2] = False


def mean_dice(masks, labels, images=IMAGES):
    found = [dice_per_class(masks.mask(name), labels.masks[name]) for name in images]
    return float(np.mean(found))


def test_two_rules_that_are_each_good_are_kept_together(masks, labels):
    source = masks(specks_and_holes)
    chain = RuleChain(source, labels, IMAGES, seed=1)
    first = chain.try_rule([variant(without_specks)], silent)
    then = chain.try_rule([variant(filled)], silent)
    together = chain.verdict()
    assert first.sections
    assert then.sections
    assert together.kept
    assert together.any_kept
    gain = 1 - mean_dice(source, labels)
    assert together.in_sample == pytest.approx(gain)
    assert together.gain == pytest.approx(gain)
    cleaned = source.then([*first.rules, *then.rules])
    assert mean_dice(cleaned, labels) == pytest.approx(1)
    assert together.figures()["kept"] is True


def test_one_step_is_that_of_a_rule_by_itself(masks, labels):
    source = masks(specks_and_holes)
    chain = RuleChain(source, labels, IMAGES, seed=3)
    one = chain.try_rule([variant(filled), variant(without_specks, other=1)], silent)
    other = try_rule(source, labels, IMAGES, [variant(filled), variant(without_specks, other=1)],
                     seed=3, report=silent)  # fmt: skip
    assert one.sections == other.sections
    assert one.choice.gain == other.choice.gain


def test_the_gain_is_that_of_chains_chosen_without_those_who_are_judged(masks, labels):
    """By brute force, with rules that help some people only, so that folds choose otherwise."""
    rng = np.random.default_rng(5)
    sides = rng.integers(2, size=len(IMAGES))

    def change(number, dense):
        if sides[number]:
            dense[0, 4:8, -6:-2] = True
        else:
            dense[0, 14:20, 16:24] = False
        dense[1, 30:34, 36 : 38 + number % 4] = False

    def shaved(mask, name):
        kept = mask.copy()
        kept[-1:] = False
        return kept

    source = masks(change)
    wanted = [
        [variant(filled), variant(shaved, other=1)],
        [variant(without_specks)],
        [variant(filled)],
    ]
    chain = RuleChain(source, labels, IMAGES, seed=2)
    for variants in wanted:
        chain.try_rule(variants, silent)
    persons = [source.person(name) for name in IMAGES]
    groups = groups_of(persons, FOLDS, 2)
    gains = np.empty((len(IMAGES), 2))
    for group in np.unique(groups):
        others = [name for name, own in zip(IMAGES, groups, strict=True) if own != group]
        now = source
        for variants in wanted:
            verdict = try_rule(now, labels, others, variants, seed=2, report=silent)
            now = now.then(verdict.rules)
        for place in np.flatnonzero(groups == group):
            name = IMAGES[place]
            before, after = (
                dice_per_class(each.mask(name), labels.masks[name]) for each in (source, now)
            )
            gains[place] = after - before
    together = chain.verdict()
    assert together.gain == pytest.approx(gains.mean())
    assert together.gain_error == pytest.approx(clustered_error(gains.mean(axis=1), persons))


def test_rules_that_fit_noise_gain_in_sample_and_are_refused(masks, labels):
    """Fifty variants that each remove a random part, from masks with random faults."""
    rng = np.random.default_rng(0)

    def noisy(number, dense):
        dense ^= rng.random(dense.shape) < 0.08

    def remover(seed):
        lost = np.random.default_rng(seed).random(SIZE) < 0.02
        return lambda mask, name: mask & ~lost[: mask.shape[0], : mask.shape[1]]

    source = masks(noisy)
    many = [variant(remover(seed), number=seed) for seed in range(50)]
    chain = RuleChain(source, labels, IMAGES, seed=1, all_in=True)
    chain.try_rule(many, silent)
    together = chain.verdict()
    assert together.any_kept
    assert together.in_sample > 0
    assert together.gain < together.in_sample
    assert not together.kept
    careful = RuleChain(source, labels, IMAGES, seed=1)
    careful.try_rule(many, silent)
    assert not careful.verdict().any_kept or not careful.verdict().kept


def test_no_rule_sees_a_mask_twice(masks, labels):
    source = masks(specks_and_holes)
    first, then = Counting(without_specks), Counting(filled)
    chain = RuleChain(source, labels, IMAGES, seed=1)
    chain.try_rule([variant(first)], silent)
    assert first.calls == 2 * len(IMAGES)
    chain.try_rule([variant(then)], silent)
    # bone1 has no specks: `first` left it as it was, so with and without it are one mask
    assert then.calls <= 3 * len(IMAGES)


class Exchange:
    """Exchanges the two bones where the first is the lower one."""

    exchanges = True

    def __init__(self):
        self.calls = 0

    def arrange(self, bones, size):
        self.calls += 1
        first, second = bones["bone0"], bones["bone1"]
        swapped = np.argwhere(first.mask)[:, 0].mean() > np.argwhere(second.mask)[:, 0].mean()
        return Arrangement({}, {"bone0": "bone1", "bone1": "bone0"} if swapped else {})


def test_bones_that_change_places_are_scored_under_their_new_names(masks, labels):
    def change(number, dense):
        dense[0, 8:12, 8:12] = False
        if number % 2:
            dense[:] = dense[::-1].copy()

    source, rule = masks(change), Exchange()
    chain = RuleChain(source, labels, IMAGES, seed=1)
    chain.try_rule([variant(rule)], silent)
    verdict = chain.try_rule([variant(filled)], silent)
    together = chain.verdict()
    assert together.gain == pytest.approx(1 - mean_dice(source, labels))
    scores = score_rules(source.then([]), labels, IMAGES, [rule], silent)
    assert scores[1].min() > 0.9
    assert verdict.sections


def test_two_people_cannot_tell(masks, labels, monkeypatch):
    source = masks(specks_and_holes)
    monkeypatch.setattr(source, "person", lambda name: name[-1] > "4")
    chain = RuleChain(source, labels, IMAGES, seed=1)
    chain.try_rule([variant(filled)], silent)
    together = chain.verdict()
    assert together.gain is None
    assert together.kept
    assert "gain" not in together.figures()


def test_a_chain_without_rules_is_a_mistake_of_ours(masks, labels):
    with pytest.raises(ValueError, match="no rule"):
        RuleChain(masks(specks_and_holes), labels, IMAGES, seed=1).verdict()
