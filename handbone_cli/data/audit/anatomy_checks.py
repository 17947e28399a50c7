"""Bones against the shape model: exchanged names, odd places, sizes and outlines, rings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.anatomy.hand import CARPALS, FINGERS, FOREARM, HAND_BONES
from handbone_cli.anatomy.outline_fit import lay_on, ring_width, sesamoid_area
from handbone_cli.data.audit.finding import listed, over_limit
from handbone_cli.data.audit.naming import best_naming, renamings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from handbone_cli.anatomy.hand_fit import HandFit
    from handbone_cli.data.audit.finding import Finding
    from handbone_cli.data.audit.labelled_image import LabelledImage
    from handbone_cli.data.audit.naming import Renaming

PLACE_LIMIT, SIZE_LIMIT = 6.0, 5.0
"""SDs from what the other bones predict; 24 real hands reach 4.0 and 2.7."""
SHAPE_LIMITS = {
    **dict.fromkeys((name for bones in FINGERS.values() for name in bones), 0.013),
    **dict.fromkeys((bones[-1] for bones in FINGERS.values()), 0.016),
    **dict.fromkeys(CARPALS, 0.016),
    **dict.fromkeys(FOREARM, 0.040),
}
"""Units (about 1080 px at 2048) by which an outline leaves its expected shape over a twentieth of
its length; 24 real hands reach three quarters of it."""
RINGED = (
    "finger-2",
    *(name for finger in ("index", "middle", "ring", "little") for name in FINGERS[finger][1:3]),
)
RING_LIMIT = 0.010  # units on both sides of a shaft


THUMB_METACARPAL = "finger-3"


@dataclass(frozen=True, eq=False)
class HandCheck:
    """What the model says of one image's labels.

    Attributes:
        side: 'right' where the thumb is on the left of a hand whose fingers point up, else 'left'.
        image: the labels under the names that fit best.
        findings: of names, places, sizes and shapes.
        sizes: (29,) half the log of areas in pixels, forearm bones by their wrist end; nan: none.
        size_sds: (29,) SDs of the size from what the other bones predict; nan: no outline.
        off_px: (29, 2) pixels x, y from where the other bones expect it; nan: no outline.
        sd_px: (29,) SD of a bone's place, in pixels.
        sesamoid: thousandths of a square unit that stick out of finger-3; nan: unknown.
        unit: pixels of a unit of the model.
    """

    side: str
    image: LabelledImage
    findings: tuple[Finding, ...]
    sizes: NDArray[np.float64]
    size_sds: NDArray[np.float64]
    off_px: NDArray[np.float64]
    sd_px: NDArray[np.float64]
    sesamoid: float
    unit: float

    def place_sds(self, bone: int, shift: tuple[float, float] = (0.0, 0.0)) -> float:
        """SDs from the expected place of a bone, once it is moved by (x, y) pixels."""
        return float(np.hypot(*(self.off_px[bone] + shift)) / self.sd_px[bone])


def check_hand(image: LabelledImage) -> HandCheck | None:
    """Check the bones of a hand; None where too few of them are labelled."""
    known = [name for name in HAND_BONES if name in image.class_names]
    index = {HAND_BONES.index(name): image.index(name) for name in known}
    outlines = {bone: image.main[place] for bone, place in index.items() if place in image.main}
    naming = best_naming(outlines)
    if naming is None:
        return None
    fit, names = naming.fit, naming.names
    renamed = image.renamed({index[a]: index[b] for a, b in names.items() if b in index})
    labelled = {names.get(bone, bone): HAND_BONES[bone] for bone in outlines}
    findings = [_renaming(image, group) for group in renamings(names)]
    true = {names.get(bone, bone): outline for bone, outline in outlines.items()}
    found, sesamoid = _bone_findings(image, fit, true, labelled)
    residuals = fit.residuals()
    places = fit.features[:, :2]
    off = fit.frame.back(places) - fit.frame.back(places - residuals.off[:, :2])
    return HandCheck(
        side=fit.side,
        image=renamed,
        findings=(*findings, *found),
        sizes=np.where(fit.present, fit.sizes(), np.nan),
        size_sds=np.where(fit.present, residuals.size, np.nan),
        off_px=np.where(fit.present[:, None], off, np.nan),
        sd_px=residuals.sd[:, :2].mean(axis=1) * fit.unit,
        sesamoid=sesamoid,
        unit=fit.unit,
    )


def _renaming(image: LabelledImage, group: Renaming) -> Finding:
    names = listed(group.bones)
    if group.kind == "mirrored":
        says = (
            f"The names run the wrong way across the hand: {len(group.bones)} bones are mirrored."
        )
        return image.finding("mirrored", group.bones, 10.0, says)
    if len(group.bones) == 1:
        says = f"{names} looks like {group.looks[0]}, which has no outline."
    elif group.kind == "order":
        says = f"{names} are in the wrong order; they look like {listed(group.looks)}."
    elif len(group.bones) == 2:
        says = f"{names} look swapped."
    else:
        says = f"{names} look like {listed(group.looks)}."
    return image.finding(group.kind, group.bones, 8.0, says)


def _bone_findings(
    image: LabelledImage,
    fit: HandFit,
    outlines: Mapping[int, NDArray[np.floating]],
    labelled: Mapping[int, str],
) -> tuple[list[Finding], float]:
    """Findings of single bones, and the sesamoid's area."""
    residuals, expected = fit.residuals(), fit.expected()
    findings, sesamoid = [], float("nan")
    for bone, outline in outlines.items():
        name, units = labelled[bone], fit.frame.points(np.asarray(outline, np.float64))
        place, size = float(residuals.position[bone]), float(residuals.size[bone])
        if place >= PLACE_LIMIT:
            off = float(np.hypot(*residuals.off[bone, :2])) * fit.unit
            says = f"{name} lies {off:.0f} px from where the other bones expect it."
            findings.append(
                image.finding("misplaced", [name], over_limit(place, PLACE_LIMIT), says)
            )
        if abs(size) >= SIZE_LIMIT:
            share = 100 * np.exp(2 * residuals.off[bone, 2])
            says = f"{name} has {share:.0f} % of the area that the other bones expect."
            findings.append(image.finding("size", [name], over_limit(abs(size), SIZE_LIMIT), says))
        findings += _shape(image, name, bone, units, expected[bone], fit.unit)
        if HAND_BONES[bone] == THUMB_METACARPAL:
            sesamoid = sesamoid_area(units, expected[bone], bone)
    return findings, sesamoid


def _shape(
    image: LabelledImage,
    name: str,
    bone: int,
    outline: NDArray[np.float64],
    expected: NDArray[np.float64],
    unit: float,
) -> Iterator[Finding]:
    off = lay_on(outline, expected, bone)
    ring = ring_width(off) if HAND_BONES[bone] in RINGED else 0.0
    if ring >= RING_LIMIT:
        says = f"{name} is {ring * unit:.0f} px too wide on both sides of its shaft: a ring?"
        yield image.finding("ring", [name], over_limit(ring, RING_LIMIT), says)
        return
    worst = float(off.off[np.abs(off.off).argmax()])
    limit = SHAPE_LIMITS[HAND_BONES[bone]]
    if abs(worst) >= limit:
        way = "sticks out" if worst > 0 else "is cut back"
        says = f"The outline of {name} {way} by {abs(worst) * unit:.0f} px from its usual shape."
        yield image.finding("shape", [name], over_limit(abs(worst), limit), says)
