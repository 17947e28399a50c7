"""Fits the shape model to labelled outlines so that one bad bone does not spoil the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from handbone_cli.anatomy.linear_features import (
    BEND_SD,
    BONES,
    CAP,
    FOREARM_BONES,
    Residuals,
    as_named,
    leave_one_out,
    linear_features,
    solve,
    swap_gains,
)
from handbone_cli.anatomy.outline_features import (
    FEATURES,
    Similarity,
    evenly,
    features_of,
    wrist_end,
)
from handbone_cli.anatomy.shape_model import ShapeModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from handbone_cli.anatomy.linear_features import LinearFeatures

Floats: TypeAlias = "NDArray[np.float64]"

SIDES = ("right", "left")
BENDS = (-1.15, 0.83)
"""First coefficient (wrist bending) of straight and of bent hands, where each fit starts."""
LEAST_BONES = 8
POINTS = 128  # of an outline that is fitted
HOPELESS = 3.0  # times the distances of the best start, from which another is not followed
ROUNDS = 6
STUDENT = 8.0  # degrees of freedom of the weights: a bone 3 SDs off counts half
DISTANCES = (1.0, 0.3, 0.15, 0.1, 0.07, 0.07, 0.07)  # units; Cauchy scale of the frame, narrowing


@dataclass(frozen=True, eq=False)
class HandFit:
    """Outlines of a hand in the frame of the model, and what the model says of them.

    Attributes:
        side: 'right' where the thumb is on the left of a hand whose fingers point up.
        frame: from image pixels to units.
        present: (29,) whether a bone has an outline.
        features: (29, 5) of the outlines, in units.
        cut: (29, 5) the same of their wrist ends only, as forearm bones are compared.
        weights: (29,) how much a bone counts, 0 to 1.
        base: coefficients (20,) around which the model was made linear.
        cost: squared SDs of all bones, each `CAP` at most, and of the coefficients.
    """

    side: str
    frame: Similarity
    present: NDArray[np.bool_]
    features: Floats
    cut: Floats
    weights: Floats
    base: Floats
    cost: float

    @property
    def unit(self) -> float:
        """Pixels of a unit."""
        return 1 / self.frame.scale

    def residuals(self) -> Residuals:
        """Every bone against what the others say of it."""
        linear = linear_features(float(self.base[0]))
        return leave_one_out(linear, self._seen(), self.weights * self.present)

    def expected(self) -> Floats:
        """The outlines (29, 48, 2) in units that the fit makes likely."""
        linear = linear_features(float(self.base[0]))
        z, _ = solve(linear, self._seen(), self.weights * self.present)
        model = ShapeModel.load()
        shape = model.mean + np.tensordot(self.base + z[:-4], model.displacements, axes=1)
        return shape.astype(np.float64)

    def swap_gains(self) -> Floats:
        """(29, 29) how many squared SDs less it costs if two bones exchange their names.

        Judged by all other bones; each bone costs `CAP` at most; 0 where a bone is missing.
        """
        linear = linear_features(float(self.base[0]))
        return swap_gains(linear, self.features, self.cut, self.present, self.weights)

    def named_as(self, bone: int, name: int) -> float:
        """Squared SDs of the outline of a bone if it were another that has none itself."""
        seen = as_named(self.features, self.cut)
        seen[name] = (self.cut if name in FOREARM_BONES else self.features)[bone]
        weights = np.array(self.weights)
        weights[bone] = weights[name] = 0.0
        return float(
            leave_one_out(linear_features(float(self.base[0])), seen, weights).squared[name]
        )

    def sizes(self) -> Floats:
        """(29,) half the log of areas in square pixels, of forearm bones' wrist ends only."""
        sizes: Floats = self._seen()[:, 2] - np.log(self.frame.scale)
        return sizes

    def _seen(self) -> Floats:
        return as_named(self.features, self.cut)


def fit_hand(
    outlines: Mapping[int, NDArray[np.floating]], sides: tuple[str, ...] = SIDES
) -> HandFit | None:
    """Fit the model to outlines (n, 2) in pixels by bone; None with too few bones to tell.

    Both sides and both bends are tried from a robust frame on; then modes and frame are solved
    for by least squares, and bones that the others contradict lose their weight (iteratively
    reweighted with Student's t; Lange, Little and Taylor, JASA 1989).
    """
    even = np.zeros((BONES, POINTS, 2))
    present = np.zeros(BONES, bool)
    for bone, outline in outlines.items():
        even[bone], present[bone] = evenly(outline, POINTS), True
    features = features_of(even)
    if np.count_nonzero(present[: FOREARM_BONES[0]]) < LEAST_BONES:
        return None
    starts = [
        _first_frame(features, present, side, linear_features(bend))
        for side in sides
        for bend in BENDS
    ]
    least = min(start.distance for start in starts)
    fits = [
        _refine(even, features, present, start)
        for start in starts
        if start.distance <= HOPELESS * least
    ]
    return min(fits, key=lambda fit: fit.cost)


@dataclass(frozen=True, eq=False)
class _Start:
    """A frame to start from; `distance` is the median of the centroids', in units."""

    side: str
    linear: LinearFeatures
    frame: Similarity
    weights: Floats
    distance: float


def _first_frame(
    features: Floats, present: NDArray[np.bool_], side: str, linear: LinearFeatures
) -> _Start:
    """Lay centroids on the mean's, those that do not fit counting less and less."""
    mirrored = side == "left"
    used = present.copy()
    used[list(FOREARM_BONES)] = False
    source, target = features[used, :2], linear.mean[used, :2]
    weights = np.ones(len(source))
    for scale in DISTANCES:
        frame = _procrustes(source, target, weights, mirrored=mirrored)
        off = np.square(frame.points(source) - target).sum(axis=1)
        weights = 1 / np.square(1 + off / scale**2)
    full = present.astype(np.float64)
    full[used] = np.maximum(weights, 0.05)
    return _Start(side, linear, frame, full, float(np.sqrt(np.median(off))))


def _procrustes(source: Floats, target: Floats, weights: Floats, *, mirrored: bool) -> Similarity:
    share = (weights / weights.sum())[:, None]
    flip = np.array([-1.0 if mirrored else 1.0, 1.0])
    source = source * flip
    a, b = source - (share * source).sum(axis=0), target - (share * target).sum(axis=0)
    dot = (share * a * b).sum()
    cross = (share[:, 0] * (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])).sum()
    scale = max(float(np.hypot(dot, cross) / (share * a * a).sum()), 1e-6)
    turn = Similarity(float(np.arctan2(cross, dot)), scale, np.zeros(2))
    shift = (share * (target - turn.points(source))).sum(axis=0)
    return Similarity(turn.angle, scale, shift, mirrored)


def _refine(
    outlines: Floats,
    whole: Floats,
    present: NDArray[np.bool_],
    start: _Start,
) -> HandFit:
    linear, frame, weights = start.linear, start.frame, start.weights
    ends = features_of(wrist_end(outlines, frame.back(np.zeros(2)), 1 / frame.scale))
    for turn in range(ROUNDS):
        seen = as_named(frame.features(whole), frame.features(ends))
        if turn:
            z, _ = solve(linear, seen, weights)
            frame = _less(frame, z[-4:])
            seen = as_named(frame.features(whole), frame.features(ends))
        off = leave_one_out(linear, seen, weights).squared
        weights = np.where(off > CAP, 1e-3, np.minimum(1, (STUDENT + FEATURES) / (STUDENT + off)))
        weights = np.where(present, weights, 0.0)
    z, _ = solve(linear, seen, weights)
    cost = float(np.minimum(off[present], CAP).sum() + np.square(z[1:-4]).sum())
    cost += float(z[0] / BEND_SD) ** 2
    cut = frame.features(ends)
    return HandFit(
        start.side, frame, present, frame.features(whole), cut, weights, linear.base, cost
    )


def _less(frame: Similarity, z: Floats) -> Similarity:
    """Take a small similarity (angle, log scale, x, y) out of what the frame leads to."""
    angle, scale = -float(z[0]), float(np.exp(-z[1]))
    moved = Similarity(angle, scale, np.zeros(2)).points(frame.shift - z[2:])
    return Similarity(frame.angle + angle, frame.scale * scale, moved, frame.mirrored)
