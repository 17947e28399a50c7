from __future__ import annotations

from handbone_cli.data.audit.finding import Finding
from handbone_cli.data.audit.kinds import KINDS
from handbone_cli.data.audit.ranking import SINGLE, SOFT, WHOLE, ranked


def finding(kind, *bones, score=2.0, image="a"):
    return Finding(image, "p", kind, bones, score, "Says.")


def kinds(findings, **options):
    return [(f.kind, f.also) for f in ranked(findings, **options)]


def test_every_kind_has_its_place():
    assert {*WHOLE, *SINGLE, *SOFT} == set(KINDS)
    assert len(WHOLE) + len(SINGLE) + len(SOFT) == len(KINDS)


def test_the_worst_comes_first_then_the_image():
    found = [
        finding("size", "x", score=1.5, image="c"),
        finding("ring", "y", score=3.0, image="b"),
        finding("size", "x", score=1.5, image="a"),
    ]
    assert [f.image_id for f in ranked(found)] == ["b", "a", "c"]


def test_a_hard_fault_explains_the_soft_ones_of_its_bones():
    found = [
        finding("misplaced", "x", score=9.0),
        finding("swapped", "x", "y", score=8.0),
        finding("overlap", "y", "z"),
        finding("size", "w"),
    ]
    assert kinds(found) == [("swapped", ("misplaced", "overlap")), ("size", ())]


def test_of_soft_faults_the_one_that_says_most_stands_for_all():
    found = [finding("shape", "x", score=3.0), finding("ring", "x", score=1.2)]
    assert kinds(found) == [("ring", ("shape",))]
    assert kinds([finding("shape", "x", score=3.0), finding("shape", "x", score=2.0)]) == [
        ("shape", ())
    ]


def test_two_hard_faults_of_a_bone_both_stay():
    found = [finding("crossing", "x"), finding("outside", "x", score=3.0)]
    assert kinds(found) == [("outside", ()), ("crossing", ())]
    assert kinds([finding("doubled", "x", "y", score=4.0), finding("swapped", "x", "z")]) == [
        ("doubled", ("swapped",))
    ]


def test_a_mirrored_hand_leaves_nothing_else_to_say():
    found = [finding("mirrored", "x", "y", score=6.0), finding("ring", "z", score=9.0)]
    assert kinds(found) == [("mirrored", ("ring",))]
    other = [*found, finding("ring", "z", image="b")]
    assert len(ranked(other)) == 2


def test_asking_for_a_kind_is_not_answered_by_another():
    found = [finding("ring", "x", score=5.0), finding("partner", "x", score=1.1)]
    assert kinds(found, only=["partner"]) == [("partner", ())]
