"""Pairs of bones whose outlines overlap more than they do in hands, or in the rest of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from handbone_cli.anatomy.hand import CARPALS, FOREARM, HAND_BONES
from handbone_cli.anatomy.shape_model import ShapeModel
from handbone_cli.data.audit.finding import over_limit
from handbone_cli.data.audit.labelled_image import area_of, box_of, shared
from handbone_cli.masks import EMPTY, clip_box

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from handbone_cli.data.audit.finding import Finding
    from handbone_cli.data.audit.labelled_image import LabelledImage

Pair: TypeAlias = "tuple[str, str]"

MARGINS = {"fingers": 0.22, "wrist": 0.35, "known": 0.55}
"""Shares of the smaller bone by which an overlap exceeds the usual one: among fingers, with a bone
of the wrist or forearm, and there in pairs known to overlap, as it depends on how the hand is bent.
"""
WRIST = frozenset((*CARPALS, *FOREARM))
SELDOM = 0.002  # share below which a pair is known not to overlap
LEAST_IMAGES = 20  # from which the dataset's own overlaps count


def overlaps_of(image: LabelledImage) -> dict[Pair, float]:
    """Share of the smaller bone that the larger one covers, of pairs that touch."""
    main = [(index, part, box_of(part), area_of(part)) for index, part in image.main.items()]
    found = {}
    for place, (one, first, box, area) in enumerate(main):
        for other, second, other_box, other_area in main[place + 1 :]:
            common = clip_box(box, other_box)
            smaller = min(area, other_area)
            room = (common[1] - common[0]) * (common[3] - common[2])
            if common == EMPTY or room < 0.02 * smaller:
                continue
            share = shared(first, second)[1]
            if share > 0:
                found[image.class_names[one], image.class_names[other]] = share
    return found


def usual_overlaps(images: Iterable[Mapping[Pair, float]], *, hand: bool) -> dict[Pair, float]:
    """What a pair is known for in hands, or shows in this dataset's middle, whichever is more.

    The hands are the 288 that the shape model was measured on.
    """
    usual = dict(_hand_overlaps()) if hand else {}
    every = list(images)
    for pair in {pair for image in every for pair in image} if len(every) >= LEAST_IMAGES else ():
        middle = float(np.median([image.get(pair, 0.0) for image in every]))
        usual[pair] = max(usual.get(pair, 0.0), middle)
    return usual


def _hand_overlaps() -> dict[Pair, float]:
    model = ShapeModel.load()
    found = {}
    for (one, other), iou in model.overlaps.items():
        both = iou / (1 + iou) * (model.area_px[one] + model.area_px[other])
        share = float(both / min(model.area_px[one], model.area_px[other]))
        pair = HAND_BONES[one], HAND_BONES[other]
        found[pair] = found[pair[::-1]] = share
    return found


def overlap_findings(
    image: LabelledImage, overlaps: Mapping[Pair, float], usual: Mapping[Pair, float]
) -> list[Finding]:
    """Pairs that overlap by more than `MARGINS` beyond the usual."""
    findings = []
    for pair, share in overlaps.items():
        known = usual.get(pair, 0.0)
        wrist = "known" if known >= SELDOM else "wrist"
        limit = MARGINS[wrist if any(name in WRIST for name in pair) else "fingers"]
        if share - known >= limit:
            than = f"usually {100 * known:.0f} %" if known >= SELDOM else "usually none"
            says = f"{pair[0]} and {pair[1]} share {100 * share:.0f} % of the smaller one, {than}."
            findings.append(image.finding("overlap", pair, over_limit(share - known, limit), says))
    return findings
