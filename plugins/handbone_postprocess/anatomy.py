"""The rule `anatomy`: each piece where a hand has that bone, each bone under its own name.

The shape model of the hand is laid on the largest piece of every bone, bones that the others
contradict counting little. A piece of a bone stays where the model expects the bone; bones whose
names fit better exchanged are exchanged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import cv2
import numpy as np
from pydantic import Field

from handbone_cli import HAND_BONES, Arrangement, HandboneError, Options, best_naming
from handbone_postprocess.components import components_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli import Bone, HandFit, PostContext

CONTRADICTED = 30.0
"""Squared SDs from which a bone does not fit; 24 real hands reach 26 in five models' masks."""
MOST_CONTRADICTED = 0.25
"""Share of bones that do not fit from which the model says nothing of an image."""
OUTLINE = 3
"""Points that an outline has at least."""


class AnatomyOptions(Options):
    """Options of anatomy."""

    margin: float = Field(0.05, gt=0, le=1)
    """How far from its bone's expected outline a piece may begin, in units: the way from the middle
    of the Capitate to that of finger-8, about 1080 px of a 2048 px image."""
    exchanges: bool = True
    """Whether bones that are better named otherwise are exchanged."""

    grid: ClassVar[Mapping[str, Sequence[float]]] = {"margin": (0.03, 0.05, 0.1)}


@dataclass(frozen=True, eq=False)
class Piece:
    """A connected part of a bone: its label, its area in px and its outline (n, 2) in the image."""

    label: int
    area: int
    outline: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Pieces:
    """All parts of one bone, the largest first, and the label of every pixel of its box."""

    labels: NDArray[np.int32]
    parts: list[Piece]


@dataclass(frozen=True)
class Anatomy:
    """Judges the bones of an image by the shape model."""

    margin: float
    exchanges: bool

    def arrange(self, bones: Mapping[str, Bone], size: tuple[int, int]) -> Arrangement:
        """What does not belong to a hand goes; nothing changes where the hand is not understood."""
        found = {HAND_BONES.index(n): pieces_of(b) for n, b in bones.items() if n in HAND_BONES}
        outlines = {bone: pieces.parts[0].outline for bone, pieces in found.items()
                    if pieces.parts and len(pieces.parts[0].outline) >= OUTLINE}  # fmt: skip
        naming = best_naming(outlines)
        if naming is None or not is_understood(naming.fit):
            return Arrangement()
        expected = naming.fit.frame.back(naming.fit.expected())
        masks = {}
        for bone, pieces in found.items():
            name = naming.names.get(bone, bone)
            if len(pieces.parts) > 1 and (self.exchanges or name == bone):
                kept = self._kept(pieces.parts, expected[name], naming.fit.unit)
                if len(kept) < len(pieces.parts):
                    masks[HAND_BONES[bone]] = np.isin(pieces.labels, kept)
        names = {HAND_BONES[old]: HAND_BONES[new] for old, new in naming.names.items()}
        return Arrangement(masks, names if self.exchanges else {})

    def _kept(
        self, parts: Sequence[Piece], expected: NDArray[np.float64], unit: float
    ) -> list[int]:
        """The labels of the pieces near the expected outline; of none that is, the nearest."""
        away = [distance(piece.outline, expected) for piece in parts]
        kept = [p.label for p, d in zip(parts, away, strict=True) if d <= self.margin * unit]
        return kept or [parts[int(np.argmin(away))].label]


def pieces_of(bone: Bone) -> Pieces:
    """The 8-connected pieces of a bone."""
    labels, areas = components_of(bone.mask)
    if len(areas) == 1:
        return Pieces(labels, [])
    contours, _ = cv2.findContours(
        bone.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    corner = np.array((bone.box[2], bone.box[0]), np.float32)
    parts = []
    for contour in contours:
        outline = contour.reshape(-1, 2)
        label = int(labels[outline[0, 1], outline[0, 0]])
        parts.append(Piece(label, int(areas[label]), outline.astype(np.float32) + corner))
    return Pieces(labels, sorted(parts, key=lambda piece: (-piece.area, piece.label)))


def is_understood(fit: HandFit) -> bool:
    """Whether most bones are where the model expects them by the others."""
    squared = fit.residuals().squared[fit.present]
    return float(np.mean(squared > CONTRADICTED)) <= MOST_CONTRADICTED


def distance(outline: NDArray[np.float32], expected: NDArray[np.float64]) -> float:
    """From an outline (n, 2) to where another (m, 2) begins, in px; negative: they overlap."""
    border = expected.astype(np.float32)[:, None]
    return min(
        -cv2.pointPolygonTest(border, (float(x), float(y)), measureDist=True) for x, y in outline
    )


def build_anatomy(options: AnatomyOptions, context: PostContext) -> Anatomy:
    """The rule; refused where no bone is one of a hand's.

    Raises:
        HandboneError: the classes are others.
    """
    if context.class_names and not set(context.class_names) & set(HAND_BONES):
        raise HandboneError(
            "post-processor 'anatomy': knows the 29 bones of a hand (finger-1 ... Ulna), and none "
            f"of the classes is one ({', '.join(context.class_names[:3])}, ...); leave it out."
        )
    return Anatomy(options.margin, options.exchanges)
