from __future__ import annotations

import json
import math

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.masks import PackedMask
from handbone_cli.results.compare import DICE, Metric, Scores, compare, score_both
from handbone_cli.scores import clustered_error

NAMES = tuple(f"bone-{i}" for i in range(12))


class Source:
    """Masks and labels over dense (C, H, W) arrays; the person is an image's first letter."""

    class_names = ("Radius", "Ulna")

    def __init__(self, dense):
        self.image_ids, self._dense = list(dense), dense

    def mask(self, image_id, size=None):
        return PackedMask.from_dense(self._dense[image_id])

    def has(self, image_id):
        return image_id in self._dense

    def person(self, image_id):
        return image_id[0]


def square(side, size=10):
    dense = np.zeros((2, size, size), bool)
    dense[:, :side, :side] = True
    return dense


def none(done, total):
    """No progress."""


def made_up(people=20, gains=(), noise=0.003, seed=0, images=2):
    """Scores whose differences are noise by person and image, and gains of the first bones."""
    rng = np.random.default_rng(seed)
    count = people * images
    b = 0.95 + 0.01 * rng.random((count, len(NAMES)))
    a = b + np.repeat(rng.normal(0, noise, (people, len(NAMES))), images, axis=0)
    a += rng.normal(0, noise / 3, a.shape)
    a[:, : len(gains)] += gains
    persons = np.repeat([f"p{i}" for i in range(people)], images).tolist()
    return Scores([str(i) for i in range(count)], persons, NAMES, np.stack([a, b]))


def test_scores_of_the_images_that_both_have():
    a = Source({"x1": square(4), "y1": square(5), "z1": square(1)})
    b = Source({"y1": square(3), "x1": square(5)})
    labels = Source({"x1": square(5), "y1": square(5), "w1": square(5)})
    seen = []
    scores = score_both(a, b, labels, lambda *at: seen.append(at))
    assert (scores.image_ids, scores.persons) == (["x1", "y1"], ["x", "y"])
    np.testing.assert_allclose(scores.values[0], [[32 / 41] * 2, [1, 1]])
    np.testing.assert_allclose(scores.values[1], [[1, 1], [18 / 34] * 2])
    assert seen == [(1, 2), (2, 2)]


def test_another_metric():
    area = Metric("area", lambda mask, truth: mask.areas().astype(float), higher_is_better=False)
    a, b = (Source({f"{p}1": square(s) for p in "uvwxyz"}) for s in (3, 4))
    result = compare(score_both(a, b, a, none, area))
    assert result.overall.means == (9, 16)
    assert result.better == 0  # smaller
    assert DICE.higher_is_better


def test_the_answer_on_planted_gains():
    scores = made_up(gains=(0.02, -0.02))
    result = compare(scores)
    assert [bone.certain for bone in result.bones] == [True, True, *[False] * 10]
    assert result.better is None
    assert compare(made_up(gains=[0.01] * 12)).better == 0
    assert compare(made_up(gains=[-0.01] * 12)).better == 1
    assert result.order()[0] == 0
    assert result.order()[-1] == 1


def test_the_figures():
    scores = made_up(gains=(0.02,))
    result = compare(scores)
    differences = scores.values[0] - scores.values[1]
    assert result.overall.difference == pytest.approx(differences.mean())
    assert result.overall.means == pytest.approx(scores.values.mean(axis=(1, 2)))
    expected = clustered_error(differences.mean(axis=1), scores.persons)
    assert result.error == pytest.approx(expected)
    # t of 19 degrees: 2.093 and 0.861.
    assert result.smallest == pytest.approx(2.954 * result.error, rel=1e-3)
    low, high = result.overall.interval
    assert (high - low) / 2 == pytest.approx(2.093 * result.error, rel=0.15)
    assert low < result.overall.difference < high
    people, noise, difference = result.at(160)
    assert people == 80
    assert difference == pytest.approx(result.error / 2)
    assert noise == pytest.approx([error / 2 for error in result.score_errors])


def test_holm_stands_between_bones_and_their_stars():
    """Of 12 null bones in 60 studies 5 % of the studies may have a star, not half of them."""
    starred = [
        any(bone.certain for bone in compare(made_up(12, seed=s), samples=1000).bones)
        for s in range(60)
    ]
    assert sum(starred) <= 7


def test_the_seed_decides_the_draws():
    scores = made_up()
    again = [compare(scores, samples=1000, seed=s).told(("a", "b"), 288) for s in (1, 1, 2)]
    assert again[0] == again[1]
    assert again[0]["interval"] != again[2]["interval"]


def test_swapped_sides_mirror_the_answer():
    scores = made_up(12, gains=(0.004,))  # so few that the test is exact
    mirrored = Scores(scores.image_ids, scores.persons, NAMES, scores.values[::-1])
    one, other = compare(scores), compare(mirrored)
    assert one.overall.difference == pytest.approx(-other.overall.difference)
    assert [b.p for b in one.bones] == [b.p for b in other.bones]


def test_what_has_no_score_is_left_out():
    """As a distance has none where a bone is missing: on either side, both are not counted."""
    scores = made_up()
    scores.values[0, 3, 0] = scores.values[1, :, 1] = np.nan
    result = compare(scores)
    rest = [i for i in range(40) if i != 3]
    differences = scores.values[0] - scores.values[1]
    assert result.bones[0].difference == pytest.approx(differences[rest, 0].mean())
    assert math.isnan(result.bones[1].difference)
    assert not result.bones[1].certain
    assert result.overall.difference == pytest.approx(np.nanmean(differences, axis=1).mean())
    told = json.loads(json.dumps(result.told(("a", "b"), 288), allow_nan=False))
    assert told["bones"]["bone-1"]["difference"] is None
    assert result.order()[-1] == 1


@pytest.mark.parametrize(
    ("b", "labels", "sentence"),
    [
        ({"y1": 3}, {"x1": 5}, "the two have no image in common."),
        (
            {"x1": 3},
            {"y1": 5},
            "none of the 1 images that both have has labels; name them with --labels.",
        ),
    ],
)
def test_nothing_to_compare(b, labels, sentence):
    sources = [Source({name: square(s) for name, s in each.items()}) for each in (b, labels)]
    with pytest.raises(HandboneError) as caught:
        score_both(Source({"x1": square(4)}), *sources, none)
    assert str(caught.value) == sentence


def test_other_classes_and_sizes():
    a, b = Source({"x1": square(4)}), Source({"x1": square(4)})
    b.class_names = ("Ulna", "Radius")
    with pytest.raises(HandboneError, match="the two have other classes"):
        score_both(a, b, a, none)
    with pytest.raises(HandboneError) as caught:
        score_both(a, Source({"x1": square(4, 12)}), a, none)
    assert str(caught.value) == ("x1: the masks are (10, 10) and (12, 12), the labels (10, 10) px.")


def test_one_person_is_no_comparison():
    with pytest.raises(HandboneError) as caught:
        compare(made_up(people=1))
    assert str(caught.value) == (
        "all images are of one person; a comparison needs two people or more."
    )
