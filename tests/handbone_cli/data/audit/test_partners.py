from __future__ import annotations

from handbone_cli.data.audit.anatomy_checks import check_hand
from handbone_cli.data.audit.partners import partner_findings


def pair(hands, person, sides=("left", "right"), seed=1):
    return {
        f"{person}{place}": check_hand(
            hands.image(hands.outlines(seed, side=side), f"{person}{place}", person)
        )
        for place, side in enumerate(sides)
    }


def audit(hands, sides=None, mirrored=()):
    found, remarks = partner_findings(hands, sides or {}, set(mirrored))
    return [(f.kind, f.image_id, f.bones[:2]) for f in found], remarks


def test_two_hands_of_a_person_are_alike(hands):
    assert audit(pair(hands, "A")) == ([], [])


def test_a_bone_out_of_proportion_to_the_other_hand(hands):
    both = pair(hands, "A")
    outlines = hands.outlines(1, side="right")
    centre = outlines["finger-7"].mean(axis=0)
    outlines["finger-7"] = centre + 0.8 * (outlines["finger-7"] - centre)
    both["A1"] = check_hand(hands.image(outlines, "A1", "A"))
    found, _ = partner_findings(both, {}, set())
    (finding,) = found
    assert (finding.kind, finding.image_id, finding.bones) == ("partner", "A1", ("finger-7",))
    assert finding.says == "finger-7 has 64 % of its area in A0, the other hand of A."


def test_two_left_hands_are_a_finding_where_others_have_both(hands):
    found, remarks = audit(
        {
            **pair(hands, "A"),
            **pair(hands, "B"),
            **pair(hands, "C"),
            **pair(hands, "D", ("left", "left")),
        }
    )
    assert [(kind, image) for kind, image, _ in found] == [("mirrored", "D0")]
    assert remarks == []


def test_a_mirrored_image_explains_them(hands):
    found = audit(pair(hands, "A", ("left", "left")), mirrored=["A1"])
    assert found == ([], [])


def test_where_most_people_have_one_side_it_is_a_remark(hands):
    everyone = {**pair(hands, "A", ("left", "left")), **pair(hands, "B", ("left", "left"))}
    found, (remark,) = audit(everyone)
    assert found == []
    assert remark.says.startswith("2 of 2 people have two left hands")
    assert remark.image_ids == ("A0", "A1", "B0", "B1")


def test_sides_of_the_source_are_learnt_from_most_images(hands):
    everyone = {**pair(hands, "A"), **pair(hands, "B"), **pair(hands, "C")}
    told = {image: hand.side for image, hand in everyone.items()}
    turned = {image: "left" if side == "right" else "right" for image, side in told.items()}
    assert audit(everyone, told)[0] == []
    assert audit(everyone, turned)[0] == []
    odd = {**told, "B0": "right"}
    assert [(kind, image) for kind, image, _ in audit(everyone, odd)[0]] == [("mirrored", "B0")]
