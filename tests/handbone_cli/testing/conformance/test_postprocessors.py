from __future__ import annotations

import numpy as np
import pytest

from handbone_cli import Arrangement
from handbone_cli.testing import check_postprocessor
from handbone_cli.testing.conformance import postprocessors


def changes(mask, name):
    mask[:] = ~mask
    return mask.copy()


class Remembering:
    """Adds a pixel to whatever comes after something else."""

    def __init__(self):
        self.last = None

    def __call__(self, mask, name):
        result = mask.copy()
        if self.last not in {None, mask.shape}:
            result[0, 0] ^= True
        self.last = mask.shape
        return result


class Jealous:
    """Leaves a bone no pixel once another one was there."""

    def __init__(self):
        self.names = set()

    def __call__(self, mask, name):
        self.names.add(name)
        return mask & (len(self.names) == 1)


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (changes, "the rule changed the mask it was given"),
        (lambda mask, name: mask.astype(np.uint8), "came back as uint8"),
        (lambda mask, name: mask.T, r"\(5, 7\) became \(7, 5\)"),
        (lambda mask, name: mask.tolist(), "came back as list"),
        (Remembering(), "one mask gave two answers"),
    ],
)
def test_what_is_wrong_is_said(rule, words):
    with pytest.raises(AssertionError, match=words):
        check_postprocessor(rule)


def test_a_rule_that_sees_other_bones_is_refused():
    with pytest.raises(AssertionError, match="Radius comes out otherwise beside another bone"):
        postprocessors.bones(postprocessors.TriedRule(Jealous()))


def test_the_bones_overlap_and_are_not_boxes():
    (y0, y1, x0, x1), (v0, v1, u0, u1) = postprocessors.BOXES
    assert max(y0, v0) < min(y1, v1)
    assert max(x0, u0) < min(x1, u1)
    blobs = postprocessors._blobs((y1 - y0, x1 - x0))
    assert 0.2 < blobs.mean() < 0.6


@pytest.mark.parametrize(
    "rule",
    [
        lambda mask, name: mask,
        lambda mask, name: np.zeros_like(mask),
        lambda mask, name: np.ones_like(mask),
        lambda mask, name: mask[::-1] if name == "Radius" else mask,
    ],
)
def test_what_is_right_passes(rule):
    check_postprocessor(rule)


class Arranging:
    """A HandRule that answers every hand alike."""

    def __init__(self, masks=None, names=None, exchanges=False):
        self.made = Arrangement(masks or {}, names or {})
        self.exchanges = exchanges

    def arrange(self, bones, size):
        return self.made


SWAP = {"finger-6": "finger-10", "finger-10": "finger-6"}


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (Arranging(names=SWAP), "it exchanges bones and its exchanges is False"),
        (Arranging(names={"femur": "Ulna"}, exchanges=True), "bones that are not there: .'femur'"),
        (
            Arranging(names={"Ulna": "Radius", "Lunate": "Radius"}, exchanges=True),
            "it gives two bones one name",
        ),
        (Arranging({"Hamate": np.zeros((1, 1), np.bool_)}), "Hamate has another shape"),
    ],
)
def test_what_is_wrong_with_a_rule_on_hands_is_said(rule, words):
    with pytest.raises(AssertionError, match=words):
        postprocessors.scope(postprocessors.TriedRule(rule))


class Refining:
    """A BoneRule that may write to what it is given."""

    def __init__(self, change):
        self.change = change

    def refine(self, bone):
        self.change(bone)
        return bone.mask.copy()


def darken(bone):
    bone.read_grey()[:] = 0


def doubt(bone):
    bone.read_probabilities()[:] = 0


@pytest.mark.parametrize(("change", "what"), [(darken, "image"), (doubt, "probabilities")])
def test_a_rule_that_writes_to_what_it_looks_at_is_refused(change, what):
    with pytest.raises(AssertionError, match=f"the rule changed the {what} it was given"):
        check_postprocessor(Refining(change))


def test_rules_that_see_more_pass():
    check_postprocessor(Refining(lambda bone: None))
    check_postprocessor(Arranging(names=SWAP, exchanges=True))
