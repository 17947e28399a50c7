"""Rules of every kind, for all bones and for some."""

from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.decision.decide import DecidedMasks
from handbone_cli.decision.document import Decision
from handbone_cli.decision.postprocessing import ScopedRule
from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import Arrangement, Bone

SIZE = (30, 40)


def hand(**columns):
    """Name -> a bone of 4 x 4 px in a box of 6 x 6 that begins at a column."""
    mask = np.zeros((6, 6), np.bool_)
    mask[1:5, 1:5] = True
    return {n: Bone(n, (2, 8, x, x + 6), mask, 0.5, None, None) for n, x in columns.items()}


def nothing(mask, name):
    return np.zeros_like(mask)


class Arranging:
    """A HandRule that gives the same answer to every hand."""

    def __init__(self, masks=None, names=None, exchanges=True):
        self.made = Arrangement(masks or {}, names or {})
        self.exchanges = exchanges

    def arrange(self, bones, size):
        assert size == SIZE
        return self.made


class Refining:
    """A BoneRule that keeps what is likely and bright."""

    def __init__(self):
        self.seen = {}

    def refine(self, bone):
        self.seen[bone.class_name] = bone
        return (bone.read_probabilities() > bone.threshold) & (bone.read_grey() > 100)


def places(bones):
    return {name: bone.box[2] for name, bone in bones.items()}


def test_a_rule_for_some_bones_leaves_the_others_as_they_are():
    bones = hand(a=0, b=10)
    after = ScopedRule(nothing, frozenset({"b", "elsewhere"})).apply(bones, SIZE)
    assert after["a"] is bones["a"]
    assert not after["b"].mask.any()
    assert bones["b"].mask.any()
    assert not any(bone.mask.any() for bone in ScopedRule(nothing).apply(bones, SIZE).values())


def test_what_does_not_change_is_the_same_bone():
    bones = hand(a=0)
    assert ScopedRule(lambda mask, name: mask.copy()).apply(bones, SIZE)["a"] is bones["a"]


def test_a_mask_of_another_shape_is_a_mistake_of_the_rule():
    with pytest.raises(ValueError, match=r"a rule made \(6, 5\) of a's \(6, 6\)"):
        ScopedRule(lambda mask, name: mask[:, :5]).apply(hand(a=0), SIZE)


SWAP = {"a": "b", "b": "a"}


@pytest.mark.parametrize(
    ("names", "classes", "expected"),
    [
        (SWAP, None, {"a": 10, "b": 0, "c": 20}),
        (SWAP, {"a", "b"}, {"a": 10, "b": 0, "c": 20}),
        (SWAP, {"a"}, {"a": 0, "b": 10, "c": 20}),  # not without the other
        (SWAP, {"a", "c"}, {"a": 0, "b": 10, "c": 20}),
        ({"a": "b", "b": "c", "c": "a"}, None, {"a": 20, "b": 0, "c": 10}),
        ({"a": "vacant"}, None, {"vacant": 0, "b": 10, "c": 20}),
        ({"a": "vacant"}, {"a"}, {"a": 0, "b": 10, "c": 20}),
        ({"a": "b", "b": "vacant"}, None, {"b": 0, "vacant": 10, "c": 20}),
        ({"a": "b"}, None, {"a": 0, "b": 10, "c": 20}),  # two bones of one name
        ({"elsewhere": "a"}, None, {"a": 0, "b": 10, "c": 20}),
    ],
)
def test_names_are_exchanged_where_the_rule_is_for_all_of_them(names, classes, expected):
    scope = None if classes is None else frozenset(classes)
    bones = hand(a=0, b=10, c=20)
    after = ScopedRule(Arranging(names=names), scope).apply(bones, SIZE)
    assert places(after) == expected
    assert all(bone.class_name == name for name, bone in after.items())
    silent = ScopedRule(Arranging(names=names, exchanges=False), scope).apply(bones, SIZE)
    assert places(silent) == {"a": 0, "b": 10, "c": 20}


def test_masks_are_in_place_before_names_change():
    smaller = np.zeros((6, 6), np.bool_)
    smaller[2, 2] = True
    rule = Arranging({"a": smaller, "c": smaller}, SWAP)
    after = ScopedRule(rule, frozenset({"a", "b"})).apply(hand(a=0, b=10, c=20), SIZE)
    assert {name: int(bone.mask.sum()) for name, bone in after.items()} == {
        "b": 1,
        "a": 16,
        "c": 16,
    }


def decided(make_store, rules, read_grey=None):
    planes = np.zeros((2, 40, 40), np.uint8)
    planes[0, 20:24, 20:26] = 204
    planes[1, 4:8, 4:8] = 255
    store = make_store("s", {"one": planes})
    weights = np.ones((2, 1))
    decision = Decision(store.class_names, weights, np.array([0.5, 0.25]), ())
    return DecidedMasks(decision, [store], rules, read_grey)


def test_a_rule_sees_probabilities_and_the_image_in_the_box(make_store):
    grey = np.zeros((40, 40), np.uint8)
    grey[:, 22:] = 200
    rule, asked = Refining(), []

    def read(image_id):
        asked.append(image_id)
        return grey

    mask = decided(make_store, [rule], read).mask("one")
    assert asked == ["one"]
    assert mask.boxes() == [(20, 24, 22, 26), (0, 0, 0, 0)]
    first, second = rule.seen["bone0"], rule.seen["bone1"]
    assert (first.threshold, second.threshold) == (0.5, 0.25)
    y0, _, x0, _ = first.box
    probabilities = first.read_probabilities()
    assert probabilities.dtype == np.float32
    assert probabilities[20 - y0, 20 - x0] == pytest.approx(0.8)
    assert probabilities.shape == first.mask.shape == first.read_grey().shape
    assert np.array_equal(probabilities > 0.5, first.mask)


def test_the_image_is_not_read_where_no_rule_asks(make_store):
    def read(image_id):
        raise AssertionError(image_id)

    masks = decided(make_store, [lambda mask, name: mask], read)
    assert masks.mask("one").areas().tolist() == [24, 16]


def test_an_exchange_reaches_the_mask_and_the_next_rule(make_store):
    rules = [Arranging(names={"bone0": "bone1", "bone1": "bone0"}), Refining()]
    rules[0].arrange = lambda bones, size: rules[0].made
    masks = decided(make_store, rules, lambda _: np.full((40, 40), 200, np.uint8))
    assert masks.mask("one").boxes() == [(4, 8, 4, 8), (20, 24, 20, 26)]
    assert rules[1].seen["bone1"].read_probabilities().max() == pytest.approx(0.8)


def test_further_rules_come_after_those_there_are(make_store):
    heard = []

    def hear(word):
        return lambda mask, name: heard.append(word) or mask

    masks = decided(make_store, [hear("first")])
    masks.then([ScopedRule(hear("then"), frozenset({"bone0"}))]).mask("one")
    assert heard == ["first", "first", "then"]
    masks.mask("one")
    assert heard[3:] == ["first", "first"]


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (None, "one: a post-processor wants the image, which is not here."),
        (
            lambda _: np.zeros((40, 41), np.uint8),
            (
                "one: the image has 40 x 41 pixels and its masks have 40 x 40; a post-processor "
                "that looks at the image needs the one that was predicted."
            ),
        ),
    ],
)
def test_an_image_that_will_not_do_is_said(make_store, read, message):
    with pytest.raises(HandboneError) as caught:
        decided(make_store, [Refining()], read).mask("one")
    assert str(caught.value) == message
