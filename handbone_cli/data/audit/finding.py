"""What an audit reports: a finding, its kinds, and the form it takes in JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from handbone_cli.masks import EMPTY

if TYPE_CHECKING:
    from handbone_cli.masks import Box


@dataclass(frozen=True)
class Finding:
    """One label that looks wrong.

    Attributes:
        image_id: the image.
        person: whose it is.
        kind: one of `KINDS`.
        bones: class names, the one to look at first in front; () where the whole image is meant.
        score: how far beyond the limit of its kind it is: 1 at the limit, 10 at most.
        says: what is wrong and what is likely meant, one sentence.
        box: where, in pixels of the image; empty where there is nothing to show.
        also: other kinds that the same bone was found by.
    """

    image_id: str
    person: str
    kind: str
    bones: tuple[str, ...]
    score: float
    says: str
    box: Box = EMPTY
    also: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON; the box as y0, y1, x0, x1 half-open or null."""
        return {
            "image": self.image_id,
            "person": self.person,
            "kind": self.kind,
            "bones": list(self.bones),
            "score": round(self.score, 3),
            "says": self.says,
            "box": None if self.box == EMPTY else list(self.box),
            "also": list(self.also),
        }


@dataclass(frozen=True)
class Remark:
    """Something that holds of the dataset and is no error of one label.

    Attributes:
        kind: 'sesamoid', 'seldom_labelled' or 'sides'.
        says: one sentence.
        image_ids: the images it is about.
    """

    kind: str
    says: str
    image_ids: tuple[str, ...] = ()

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"kind": self.kind, "says": self.says, "images": list(self.image_ids)}


@dataclass(frozen=True)
class AuditReport:
    """Findings, the worst first, and remarks.

    Attributes:
        images: labelled images that were read.
        people: whose they are.
    """

    images: int
    people: int
    findings: tuple[Finding, ...]
    remarks: tuple[Remark, ...] = field(default=())

    def summary(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "images": self.images,
            "people": self.people,
            "findings": [finding.summary() for finding in self.findings],
            "remarks": [remark.summary() for remark in self.remarks],
        }


def over_limit(value: float, limit: float) -> float:
    """The score of a value that is a finding from `limit` on: 1 there, 10 at most."""
    return min(value / limit, 10.0)


def listed(names: tuple[str, ...] | list[str]) -> str:
    """'a', 'a and b', 'a, b and c'."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
