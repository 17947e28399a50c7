"""The hands that masks of bones make up, and how far each of them is from the shape model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.anatomy.frame import NEAR, find_frames, mean_centres
from handbone_cli.anatomy.hand_fit import fit_hand

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.anatomy.frame import HandFrame
    from handbone_cli.anatomy.hand_fit import HandFit
    from handbone_cli.store.boxes import BoxedProbabilities

HALF = 127
"""A pixel of a larger q is bone here: trust is of masks at one half."""
PARTS = 3  # regions of a class that may be a hand's bone each
LEAST_POINTS = 6  # of an outline


@dataclass(frozen=True, eq=False)
class Region:
    """A connected region of a class's mask.

    Attributes:
        index: of the class.
        bone: of the shape model.
        centre: x, y in pixels of the film.
        area: in pixels.
        outline: (n, 2) x, y.
    """

    index: int
    bone: int
    centre: NDArray[np.float64]
    area: float
    outline: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Hand:
    """One hand on a film.

    Attributes:
        regions: one of a bone at most.
        distances: (29,) squared SDs of every bone from what the others say; nan: not found.
        expected: (29, 2) where the mean hand in its frame has the bones, x, y in pixels.
    """

    regions: Sequence[Region]
    distances: NDArray[np.float64]
    expected: NDArray[np.float64]


def regions_of(probabilities: BoxedProbabilities, bones: NDArray[np.intp]) -> list[Region]:
    """The largest regions of every class at one half; `bones` (C,) names the classes."""
    found = []
    for index, bone in enumerate(bones):
        mask = (probabilities.crops[index] > HALF).astype(np.uint8)
        if not mask.any():
            continue
        count, labels, figures, centres = cv2.connectedComponentsWithStats(mask)
        areas = figures[:, cv2.CC_STAT_AREA]
        y0, _, x0, _ = probabilities.box(index)
        corner = np.array([x0, y0], np.float64)
        for part in sorted(range(1, count), key=lambda part: -int(areas[part]))[:PARTS]:
            outlines, _ = cv2.findContours(
                (labels == part).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            outline = max(outlines, key=len).reshape(-1, 2)
            centre = centres[part] + corner + 0.5
            found.append(Region(index, int(bone), centre, float(areas[part]), outline + corner))
    return found


def hands_of(regions: Sequence[Region]) -> list[Hand]:
    """Up to two hands, the surest first; regions that lie in no hand's frame are left."""
    if not regions:
        return []
    bones = [region.bone for region in regions]
    frames = find_frames(bones, np.stack([region.centre for region in regions]))
    return [_hand(frame, regions) for frame in frames]


def _hand(frame: HandFrame, regions: Sequence[Region]) -> Hand:
    mean = mean_centres()
    linear, shift = frame.matrix[:, :2], frame.matrix[:, 2]
    nearest: dict[int, tuple[float, Region]] = {}
    for region in regions:
        off = float(np.linalg.norm(linear @ region.centre + shift - mean[region.bone]))
        # Forearm bones end where the film does: their centres tell less.
        if off < 4 * NEAR and off < nearest.get(region.bone, (np.inf, region))[0]:
            nearest[region.bone] = (off, region)
    own = [region for _, region in nearest.values()]
    expected = (mean - shift) @ np.linalg.inv(linear).T
    outlines = {each.bone: each.outline for each in own if len(each.outline) >= LEAST_POINTS}
    fit = fit_hand(outlines, (frame.side,))
    return Hand(own, _distances(fit), expected)


def _distances(fit: HandFit | None) -> NDArray[np.float64]:
    """(29,) squared SDs of every bone; nan where it is not there, or without a fit."""
    if fit is None:
        return np.full(len(mean_centres()), np.nan)
    return np.where(fit.present, fit.residuals().squared, np.nan)
