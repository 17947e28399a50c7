from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.decision.cross_fitting import choose, select
from handbone_cli.errors import HandboneError
from handbone_cli.scores import clustered_error

PERSONS = [f"ID{image // 2}" for image in range(40)]


def noise(seed, candidates=25, classes=6, spread=0.02):
    """Scores of candidates that differ by nothing but luck: (K, N, C)."""
    draw = np.random.default_rng(seed)
    return 0.9 + draw.normal(0, spread, (candidates, len(PERSONS), classes))


def planted(seed=0):
    """Three classes: candidate 3 is better for class 1 by .05, all others are worse by .02."""
    draw = np.random.default_rng(seed)
    scores = np.broadcast_to(0.9 + draw.normal(0, 0.02, (1, 40, 3)), (6, 40, 3)).copy()
    scores[1:] -= 0.02 + draw.normal(0, 0.005, (5, 40, 3))
    scores[3, :, 1] += 0.07
    return scores


@pytest.mark.parametrize("seed", [2, 3, 4])  # about one in six passes: the next test
def test_luck_that_wins_in_sample_is_refused(seed):
    scores = noise(seed)
    choice = choose(scores, PERSONS, per_class=True)
    # What naive choosing would report and do:
    assert choice.in_sample > choice.uniform + 2 * choice.gain_error
    assert (select(scores, PERSONS, per_class=True) != 0).any()
    # What cross-fitting says:
    assert choice.gain < choice.gain_error
    assert not choice.kept
    assert choice.chosen.tolist() == [0] * 6
    assert choice.cross_fitted == choice.uniform == pytest.approx(scores[0].mean())


def test_the_gain_of_luck_is_nothing_on_average():
    choices = [choose(noise(seed), PERSONS, per_class=True) for seed in range(60)]
    gains = np.array([choice.gain for choice in choices])
    assert abs(gains.mean()) < 3 * gains.std() / np.sqrt(len(gains))
    assert np.mean([choice.in_sample - choice.uniform for choice in choices]) > 0.004
    assert np.mean([choice.kept for choice in choices]) < 0.3


def test_a_true_gain_is_kept_where_it_is_and_nowhere_else():
    choice = choose(planted(), PERSONS, per_class=True)
    assert choice.kept
    assert choice.chosen.tolist() == [0, 3, 0]
    assert choice.gain_per_class == pytest.approx([0, 0.05, 0], abs=0.003)
    assert choice.gain == pytest.approx(0.05 / 3, abs=0.001)
    assert choice.cross_fitted == pytest.approx(choice.uniform + choice.gain)
    assert choice.in_sample == pytest.approx(choice.cross_fitted)


def test_one_candidate_for_all_classes():
    scores = planted()
    choice = choose(scores, PERSONS, per_class=False)
    assert choice.chosen.tolist() == [3, 3, 3]  # .05 - .02 - .02 over three classes
    assert choice.kept
    assert choice.gain == pytest.approx(0.01 / 3, abs=0.001)
    scores[3, :, 0] -= 0.05
    assert choose(scores, PERSONS, per_class=False).chosen.tolist() == [0, 0, 0]


def test_gains_are_judged_on_people_left_out():
    # Candidate k is better by .5 for person k alone: choosing sees it, people left out never.
    people = [f"ID{place}" for place in range(8) for _ in range(4)]
    scores = np.full((9, 32, 1), 0.5)
    for person in range(8):
        scores[person + 1, 4 * person : 4 * person + 4] += 0.4
    assert select(scores, people, per_class=True).tolist() == [0]  # gain .05, error .05
    scores[1:] += 0.01
    choice = choose(scores, people, per_class=True, folds=8)
    assert choice.in_sample == pytest.approx(0.56)
    assert choice.gain == pytest.approx(0.01)


def test_a_candidate_must_gain_more_than_its_standard_error():
    gains = np.array([0.3, -0.1, 0.05, -0.05])
    persons = ["a", "b", "c", "d"]
    error = clustered_error(gains, persons)
    assert 0 < gains.mean() < error
    scores = np.stack([np.zeros(4), gains])[:, :, None]
    assert select(scores, persons, per_class=True).tolist() == [0]
    scores[1] += error
    assert select(scores, persons, per_class=True).tolist() == [1]


def test_the_error_is_clustered_by_person():
    scores = planted()
    choice = choose(scores, PERSONS, per_class=True)
    gains = (scores[3, :, 1] - scores[0, :, 1]) / 3
    assert choice.gain_error == pytest.approx(clustered_error(gains, PERSONS))
    assert choice.gain_error != pytest.approx(clustered_error(gains, [str(n) for n in range(40)]))


def test_the_seed_decides_the_groups_and_nothing_else():
    first, again, other = (
        choose(noise(3), PERSONS, per_class=True, seed=seed) for seed in (5, 5, 6)
    )
    assert first.gain == again.gain != other.gain
    assert first.in_sample == other.in_sample


@pytest.mark.parametrize("persons", [[], ["ID1"], ["ID1", "ID1"]])
def test_fewer_than_two_people_are_refused(persons):
    with pytest.raises(HandboneError) as caught:
        choose(np.zeros((2, len(persons), 3)), persons, per_class=True)
    assert str(caught.value) == "choosing weights needs images of at least two people."


def test_two_people_stay_uniform():
    scores = planted()[:, :4]
    choice = choose(scores, PERSONS[:4], per_class=True)
    assert not choice.kept
    assert (choice.gain, choice.chosen.tolist()) == (0.0, [0, 0, 0])


def test_images_of_one_person_never_part():
    # Luck that a person's images share would come back in the folds if they were parted.
    people = [f"ID{image // 6}" for image in range(36)]
    gains, in_sample = [], []
    for seed in range(40):
        luck = np.random.default_rng(seed).normal(0, 0.02, (20, 6, 2))
        choice = choose(0.9 + np.repeat(luck, 6, axis=1), people, per_class=True)
        gains.append(choice.gain)
        in_sample.append(choice.in_sample - choice.uniform)
    assert np.mean(gains) < 0.25 * np.mean(in_sample)
