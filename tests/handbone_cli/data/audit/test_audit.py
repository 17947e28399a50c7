from __future__ import annotations

import functools

import numpy as np
import pytest

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.data.audit.audit import audit
from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import Sample


def read(labels):
    return labels


@pytest.fixture
def samples(hands):
    def make(changes):
        """Two people; `changes` maps an image id to a change of its outlines by name."""
        made = []
        for number in range(4):
            name, side = f"i{number}", ("left", "right")[number % 2]
            outlines = hands.outlines(number // 2, side=side)
            grey = hands.picture(outlines)
            changes.get(name, lambda _outlines: None)(outlines)
            labels = {HAND_BONES.index(bone): [part] for bone, part in outlines.items()}
            made.append(
                Sample(
                    name,
                    f"p{number // 2}",
                    functools.partial(read, grey),
                    functools.partial(read, labels),
                )
            )
        return made

    return make


def found(samples, **options):
    report = audit(samples, HAND_BONES, **options)
    return [(f.image_id, f.kind, f.bones) for f in report.findings]


@pytest.mark.slow  # 2 s: eight hands drawn and audited
def test_faults_are_found_and_nothing_else(samples):
    def swap(o):
        o["finger-9"], o["finger-13"] = o["finger-13"], o["finger-9"]

    def lose_and_shift(o):
        del o["finger-1"]
        o["finger-6"] = o["finger-6"] + np.float32([12, -8])

    def double(o):
        o["Lunate"] = o["finger-4"] + np.float32(1)

    made = samples({"i0": swap, "i2": lose_and_shift, "i3": double})
    steps = []
    assert found(made, report=lambda done, total: steps.append((done, total))) == [
        ("i0", "swapped", ("finger-9", "finger-13")),
        ("i2", "missing", ("finger-1",)),
        ("i3", "doubled", ("Lunate", "finger-4")),
        ("i2", "off_bone", ("finger-6",)),
    ]
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert found(samples({})) == []


def test_what_cannot_be_read_is_a_finding_and_stops_nothing(hands):
    outlines = hands.outlines(0)
    labels = {HAND_BONES.index(bone): [part] for bone, part in outlines.items()}

    def broken():
        raise HandboneError("x.json: not JSON.")

    good = Sample("good", "p", lambda: hands.picture(outlines), lambda: labels)
    bad = Sample("bad", "q", lambda: hands.picture(outlines), broken)
    unlabelled = Sample("none", "r", broken)
    report = audit([bad, good, unlabelled], HAND_BONES)
    assert [(f.image_id, f.kind, f.says) for f in report.findings] == [
        ("bad", "unreadable", "x.json: not JSON.")
    ]
    assert (report.images, report.people) == (1, 1)


def test_other_bones_than_a_hands_get_the_generic_checks():
    def square(x, side):
        return np.array([[x, 9], [x + side, 9], [x + side, 9 + side], [x, 9 + side]], np.float32)

    def sample(number, first):
        grey = np.full((100, 100), 90, np.uint8)
        labels = {0: [first], 1: [square(60, 20)]}
        return Sample(f"i{number:02d}", f"p{number}", lambda: grey, lambda: labels)

    many = [sample(number, square(10, 20)) for number in range(12)]
    assert audit(many, ("femur", "tibia")).findings == ()
    bow_tie = np.array([[5, 5], [45, 45], [45, 5], [5, 45]], np.float32)
    report = audit([*many, sample(12, bow_tie), sample(13, square(95, 20))], ("femur", "tibia"))
    assert {(f.image_id, f.kind) for f in report.findings} == {
        ("i12", "crossing"),
        ("i13", "outside"),
    }


def test_labels_without_any_outline_are_missing(hands):
    outlines = hands.outlines(0)
    labels = {HAND_BONES.index(bone): [part] for bone, part in outlines.items()}
    good = Sample("good", "p", lambda: hands.picture(outlines), lambda: labels)
    empty = Sample("empty", "q", lambda: hands.picture(outlines), dict)
    assert found([good, empty]) == [("empty", "missing", HAND_BONES)]
