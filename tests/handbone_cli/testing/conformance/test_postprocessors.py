from __future__ import annotations

import numpy as np
import pytest

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
