"""One finding a cause: what explains others stays, and the worst comes first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from handbone_cli.data.audit.kinds import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handbone_cli.data.audit.finding import Finding

WHOLE = ("unreadable", "mirrored")
"""Kinds that leave nothing else to say of an image."""
SINGLE = ("missing", "extra", "crossing", "outside", "doubled", "swapped", "order")
"""Kinds with a cause of their own, which explain the softer ones of the same bones."""
SOFT = ("misplaced", "size", "shape", "ring", "overlap", "partner", "off_bone", "disagreement")
PLAIN = {"ring": 4.0, "size": 3.0, "off_bone": 2.0, "misplaced": 1.5, "overlap": 1.5}
"""Soft kinds that say more than others: what their score weighs where one stands for all."""


def ranked(findings: Iterable[Finding], only: Iterable[str] = ()) -> list[Finding]:
    """Keep the kinds asked for, join those of one cause, sort by score, then by image."""
    kinds = set(only) or set(KINDS)
    by_image: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.kind in kinds:
            by_image.setdefault(finding.image_id, []).append(finding)
    kept = [finding for found in by_image.values() for finding in _causes(found)]
    return sorted(kept, key=lambda f: (-f.score, f.image_id, f.kind, f.bones))


def _causes(findings: list[Finding]) -> list[Finding]:
    whole = [finding for finding in findings if finding.kind in WHOLE]
    if whole:
        first = max(whole, key=lambda finding: finding.score)
        others = {finding.kind for finding in findings} - {first.kind}
        return [replace(first, also=tuple(kind for kind in KINDS if kind in others))]
    kept: list[Finding] = []
    for finding in sorted(findings, key=_standing):
        same = next((one for one in kept if _explains(one, finding)), None)
        if same is None:
            kept.append(finding)
        elif finding.kind != same.kind and finding.kind not in same.also:
            kept[kept.index(same)] = replace(same, also=(*same.also, finding.kind))
    return kept


def _standing(finding: Finding) -> tuple[int, float]:
    return finding.kind in SOFT, -finding.score * PLAIN.get(finding.kind, 1.0)


def _explains(one: Finding, other: Finding) -> bool:
    """Whether a finding that stands makes another one of the same image needless."""
    if not set(one.bones) & set(other.bones):
        return False
    if other.kind in SOFT:
        return True
    return {one.kind, other.kind} <= {"doubled", "swapped", "order"}
