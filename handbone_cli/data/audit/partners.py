"""Both hands of a person against each other: two of one side, bones out of proportion."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.anatomy.linear_features import NOISE
from handbone_cli.data.audit.finding import Remark, over_limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from handbone_cli.data.audit.anatomy_checks import HandCheck
    from handbone_cli.data.audit.finding import Finding

SIZE_LIMIT = 5.0
"""SDs by which a bone's size may differ between both hands; 12 people reach 2.6."""
USUAL = 0.75  # share of people or images that show what is meant, so that the rest is a fault


def partner_findings(
    hands: Mapping[str, HandCheck], sides: Mapping[str, str | None], mirrored: set[str]
) -> tuple[list[Finding], list[Remark]]:
    """Compare the two hands of every person who has two.

    Args:
        hands: by image.
        sides: 'left' or 'right' by image where the source says so.
        mirrored: images known to be, which explain two hands of one side.
    """
    people: dict[str, list[HandCheck]] = {}
    for hand in hands.values():
        people.setdefault(hand.image.person, []).append(hand)
    pairs = [hands for hands in people.values() if len(hands) == 2]
    findings = [finding for one, other in pairs for finding in _out_of_proportion(one, other)]
    same, remarks = _one_sided(pairs, mirrored)
    return [*findings, *same, *_against_source(hands.values(), sides)], remarks


def _out_of_proportion(one: HandCheck, other: HandCheck) -> list[Finding]:
    """Sizes of one hand's bones to those of the other's, once the hands are equally large."""
    apart = one.sizes - other.sizes
    apart = apart - np.nanmedian(apart)
    sds = np.sqrt(2) * NOISE[1] / 1000
    findings = []
    for bone in np.flatnonzero(np.abs(apart) >= SIZE_LIMIT * sds).tolist():
        odd = one if abs(one.size_sds[bone]) >= abs(other.size_sds[bone]) else other
        partner = other if odd is one else one
        share = 100 * float(np.exp(2 * apart[bone] * (1 if odd is one else -1)))
        name = HAND_BONES[bone]
        says = (
            f"{name} has {share:.0f} % of its area in {partner.image.image_id}, "
            f"the other hand of {odd.image.person}."
        )
        score = over_limit(float(abs(apart[bone]) / sds[bone]), SIZE_LIMIT)
        findings.append(odd.image.finding("partner", [name], score, says))
    return findings


def _one_sided(
    pairs: Sequence[Sequence[HandCheck]], mirrored: set[str]
) -> tuple[list[Finding], list[Remark]]:
    same = [
        (one, other)
        for one, other in pairs
        if one.side == other.side and not mirrored & {one.image.image_id, other.image.image_id}
    ]
    if not same:
        return [], []
    if len(same) > (1 - USUAL) * len(pairs) and len(pairs) > 1:
        says = (
            f"{len(same)} of {len(pairs)} people have two {_sides(same)} hands: "
            "were the images of one side turned over?"
        )
        ids = tuple(hand.image.image_id for pair in same for hand in pair)
        return [], [Remark("sides", says, ids)]
    findings = []
    for one, other in same:
        says = (
            f"{one.image.person} has two {one.side} hands, here and in {other.image.image_id}: "
            "one image or its labels are mirrored."
        )
        names = [one.image.class_names[index] for index in one.image.main]
        findings.append(one.image.finding("mirrored", names, 6.0, says))
    return findings, []


def _sides(pairs: Sequence[tuple[HandCheck, HandCheck]]) -> str:
    sides = {one.side for one, _ in pairs}
    return sides.pop() if len(sides) == 1 else "left or two right"


def _against_source(hands: Iterable[HandCheck], sides: Mapping[str, str | None]) -> list[Finding]:
    """Hands of a side other than the source says, in the way most images of it mean it."""
    known = [(hand, sides[hand.image.image_id]) for hand in hands if sides.get(hand.image.image_id)]
    agreement = Counter(hand.side == side for hand, side in known)
    if not known or max(agreement.values()) < USUAL * len(known):
        return []
    usual = agreement.most_common(1)[0][0]
    findings = []
    for hand, side in known:
        if (hand.side == side) != usual:
            says = f"The source calls it a {side} hand, the labels are those of the other one."
            names = [hand.image.class_names[index] for index in hand.image.main]
            findings.append(hand.image.finding("mirrored", names, 8.0, says))
    return findings
