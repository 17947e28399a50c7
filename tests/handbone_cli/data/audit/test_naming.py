from __future__ import annotations

import pytest

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.data.audit.naming import best_naming, renamings

INDEX = {name: place for place, name in enumerate(HAND_BONES)}


def named(outlines, names):
    """Labels where the bone `a` goes by the name names[a]."""
    return {INDEX[names.get(name, name)]: outline for name, outline in outlines.items()}


def exchange(*pairs):
    return {**dict(pairs), **{b: a for a, b in pairs}}


def groups(labels):
    return renamings(best_naming(labels).names)


def test_clean_names_stay(hands):
    for seed, side in ((1, "left"), (2, "right")):
        assert groups(named(hands.outlines(seed, side=side), {})) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("finger-9", "finger-13"), ("Scaphoid", "Lunate"), ("Triquetrum", "Pisiform")],
)
def test_two_swapped_names(hands, one, other):
    (group,) = groups(named(hands.outlines(3), exchange((one, other))))
    assert group.kind == "swapped"
    assert set(group.bones) == {one, other}
    assert dict(zip(group.bones, group.looks, strict=True)) == exchange((one, other))


def test_the_order_along_a_finger(hands):
    names = {"finger-4": "finger-5", "finger-5": "finger-6", "finger-6": "finger-4"}
    (group,) = groups(named(hands.outlines(4), names))
    assert group.kind == "order"
    looks = dict(zip(group.bones, group.looks, strict=True))
    assert looks == {"finger-5": "finger-4", "finger-6": "finger-5", "finger-4": "finger-6"}


def test_two_fingers_exchanged_are_one_group(hands):
    pairs = [(f"finger-{place}", f"finger-{place + 4}") for place in range(8, 12)]
    (group,) = groups(named(hands.outlines(5), exchange(*pairs)))
    assert group.kind == "swapped"
    assert len(group.bones) == 8


@pytest.mark.parametrize("forearm", [True, False])
def test_fingers_counted_from_the_wrong_side(hands, forearm):
    pairs = [
        (f"finger-{a}", f"finger-{b}") for a, b in zip(range(4, 8), range(16, 20), strict=True)
    ]
    pairs += [
        (f"finger-{a}", f"finger-{b}") for a, b in zip(range(8, 12), range(12, 16), strict=True)
    ]
    pairs += [("Radius", "Ulna")] if forearm else []
    (group,) = groups(named(hands.outlines(6), exchange(*pairs)))
    assert group.kind == "mirrored"
    assert dict(zip(group.bones, group.looks, strict=True)) == exchange(*pairs)


def test_a_thumb_named_as_the_little_finger(hands):
    pairs = [("finger-1", "finger-16"), ("finger-2", "finger-18"), ("finger-3", "finger-19")]
    pairs += [
        (f"finger-{a}", f"finger-{b}") for a, b in zip(range(4, 8), range(12, 16), strict=True)
    ]
    (group,) = groups(named(hands.outlines(7), exchange(*pairs)))
    assert group.kind == "mirrored"


def test_a_name_that_took_anothers_place(hands):
    outlines = hands.outlines(8)
    del outlines["finger-9"]
    (group,) = groups(named(outlines, {"finger-13": "finger-9"}))
    assert (group.kind, group.bones, group.looks) == ("swapped", ("finger-9",), ("finger-13",))


def test_few_bones_have_no_naming(hands):
    outlines = hands.outlines(1)
    assert best_naming({INDEX[name]: outlines[name] for name in ("Radius", "Ulna")}) is None


def test_a_hand_mirrored_name_by_name(hands):
    pairs = [("finger-1", "finger-16"), ("finger-2", "finger-18"), ("finger-3", "finger-19")]
    pairs += [
        (f"finger-{a}", f"finger-{b}") for a, b in zip(range(4, 8), range(12, 16), strict=True)
    ]
    pairs += [("Radius", "Ulna"), ("Trapezium", "Hamate"), ("Trapezoid", "Capitate")]
    pairs += [("Scaphoid", "Triquetrum")]
    for seed, bend in ((1, -1.15), (2, 0.83)):
        (group,) = groups(named(hands.outlines(seed, bend), exchange(*pairs)))
        assert group.kind == "mirrored"
        assert dict(zip(group.bones, group.looks, strict=True)) == exchange(*pairs)
