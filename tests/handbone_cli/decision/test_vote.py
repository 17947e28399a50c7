from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from handbone_cli.decision.vote import Majority, VotedMasks, cast, require_same
from handbone_cli.errors import HandboneError
from handbone_cli.masks import PackedMask

HALF = Fraction(1, 2)
NAMES = ("a.csv", "b.csv", "c.csv", "d.csv")


class Masks:
    """A MaskSource over dense masks: image id -> (C, H, W)."""

    def __init__(self, dense, class_names=("Radius", "Ulna", "Lunate")):
        self.image_ids, self.class_names, self._dense = tuple(dense), class_names, dense

    def mask(self, image_id):
        return PackedMask.from_dense(self._dense[image_id])

    def person(self, image_id):
        return image_id[0]


def blobs(members, classes=3, size=(20, 30), images=("x1", "x2"), seed=0):
    """Random masks that overlap, most of an image empty."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(members):
        dense = {name: np.zeros((classes, *size), bool) for name in images}
        for each in dense.values():
            each[:, 4:12, 5:22] = rng.random((classes, 8, 17)) < 0.5
        found.append(Masks(dense))
    return found


def dense(members, image_id="x1"):
    return np.stack([member.mask(image_id).dense() for member in members])


def equal_ballot(members, share=HALF, classes=3):
    return cast([[Fraction(1)] * members] * classes, [share] * classes)


def vote(members, ballot):
    return VotedMasks(members, ballot, Majority(ballot), NAMES[: len(members)])


@pytest.mark.parametrize("count", [2, 3, 4])
def test_more_than_half_is_the_source_s_majority(count):
    members = blobs(count)
    expected = dense(members).sum(axis=0) > count // 2
    voted = vote(members, equal_ballot(count))
    np.testing.assert_array_equal(voted.mask("x1").dense(), expected)
    assert expected.any()
    assert (voted.image_ids, voted.class_names) == (members[0].image_ids, members[0].class_names)
    assert voted.person("x2") == "x"


def test_shares_of_every_class():
    """Any vote, exactly two thirds (strict: all three), and nearly all."""
    members = blobs(3)
    shares = [Fraction(0), Fraction(2, 3), Fraction("0.33")]
    ballot = cast([[Fraction(1)] * 3] * 3, shares)
    sums = dense(members).sum(axis=0)
    expected = np.stack([sums[0] > 0, sums[1] > 2, sums[2] > 0])
    np.testing.assert_array_equal(vote(members, ballot).mask("x1").dense(), expected)


def test_weights_are_counted_in_whole_numbers():
    """0.1 + 0.2 against 0.3 is a tie, which floats do not see."""
    ballot = cast([[Fraction("0.1"), Fraction("0.2"), Fraction("0.3")]] * 3, [HALF] * 3)
    assert ballot.votes.tolist() == [[1, 2, 3]] * 3
    members = blobs(3)
    a, b, c = dense(members)
    expected = (a & c) | (b & c)  # a and b together are half, which is not more
    np.testing.assert_array_equal(vote(members, ballot).mask("x1").dense(), expected)
    assert (a & b & ~c).any()


def test_many_votes_do_not_wrap():
    """200 and 100 votes of 300 do not fit eight bits."""
    ballot = cast([[Fraction(200), Fraction(100)]] * 3, [HALF] * 3)
    members = blobs(2)
    np.testing.assert_array_equal(vote(members, ballot).mask("x1").dense(), dense(members)[0])


def test_a_class_of_one_voter_is_that_member_s():
    members = blobs(3)
    zero, one = Fraction(0), Fraction(1)
    ballot = cast([[one, one, zero], [zero, zero, one], [zero, one, zero]], [HALF] * 3)
    a, b, c = dense(members)
    expected = np.stack([(a & b)[0], c[1], b[2]])
    np.testing.assert_array_equal(vote(members, ballot).mask("x1").dense(), expected)


def test_nothing_anywhere():
    empty = {"x1": np.zeros((3, 8, 8), bool)}
    assert not vote([Masks(empty), Masks(empty)], equal_ballot(2)).mask("x1").planes.any()


@pytest.mark.parametrize(
    ("weights", "share", "sentence"),
    [
        (["1", "-1"], "0.5", "weights 1, -1; expected 0 or more, and one of them above 0."),
        (["0", "0"], "0.5", "weights 0, 0; expected 0 or more, and one of them above 0."),
        (["1", "1"], "1", "a share of 1; expected 0 (any vote) to below 1 (all of them)."),
        (["1", "1"], "-0.1", "a share of -0.1; expected 0 (any vote) to below 1 (all of them)."),
        (["1e-30", "1"], "0.5", "the weights have too many digits to be counted; round them."),
    ],
)
def test_wrong_ballots(weights, share, sentence):
    with pytest.raises(HandboneError) as caught:
        cast([[Fraction(each) for each in weights]], [Fraction(share)])
    assert str(caught.value) == sentence


def test_images_of_two_sizes():
    members = [*blobs(1), *blobs(1, size=(20, 31))]
    with pytest.raises(HandboneError) as caught:
        vote(members, equal_ballot(2)).mask("x1")
    assert str(caught.value) == "b.csv: image 'x1' is 20 x 31 px there and 20 x 30 in a.csv."


ALL = "; all that vote need the same images and classes."


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        (Masks({"x1": 0}), f"b.csv: lacks image 'x2', which a.csv has{ALL}"),
        (
            Masks({"x2": 0, "x1": 0, "y": 0, "z": 0}),
            f"a.csv: lacks image 'y' and 1 more, which b.csv has{ALL}",
        ),
        (
            Masks({"x1": 0, "x2": 0}, ("Radius", "Ulna")),
            f"b.csv: lacks class 'Lunate', which a.csv has{ALL}",
        ),
        (
            Masks({"x1": 0, "x2": 0}, ("Radius", "Lunate", "Ulna")),
            "b.csv: has the classes in another order than a.csv.",
        ),
    ],
)
def test_members_of_other_images_or_classes(other, sentence):
    with pytest.raises(HandboneError) as caught:
        require_same([*blobs(1), other], NAMES[:2])
    assert str(caught.value) == sentence


def test_another_order_of_images_is_no_other():
    require_same([*blobs(1), Masks({"x2": 0, "x1": 0})], NAMES[:2])
