"""Outlines against the image: whether the edges of the bones run along them, or beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.anatomy.outline_features import evenly
from handbone_cli.data.audit.finding import over_limit

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from handbone_cli.data.audit.anatomy_checks import HandCheck
    from handbone_cli.data.audit.finding import Finding
    from handbone_cli.data.audit.labelled_image import LabelledImage

SIDE = 1024  # the longer side at which edges are looked for
POINTS = 96
REACH = 18  # pixels at SIDE that an outline is moved each way
STEP = 3
BREATHS = (-2.0, 0.0, 2.0)  # pixels at SIDE by which outlines are drawn in or out all round
BLUR = 1.2
GAIN, WEAK = 0.25, 0.68
"""An outline is off if the contrast gains so much by a move, and has less than this share here."""
NEAR = 0.008  # units; what is nearer to the edges is no fault
LIKELY = 4.0  # SDs from the place that the other bones expect
HALF = 0.5  # of all outlines, from which the labels as a whole are off
MIRRORED_LEAST, MIRRORED_TIMES = 0.35, 1.8
BORDER = 3  # pixels at SIDE next to the image's border that show no edge of a bone


@dataclass(frozen=True, eq=False)
class EdgeFit:
    """How well an outline lies on edges, and how well it would elsewhere.

    Attributes:
        here: mean contrast across the outline, in the image's own usual contrast, -1 to 1.
        there: the same at the best place within reach.
        shift: (x, y) image pixels from here to there.
    """

    here: float
    there: float
    shift: tuple[float, float]


@dataclass(frozen=True, eq=False)
class ImageEdges:
    """All outlines of an image against its edges.

    Attributes:
        bones: by class.
        own: mean contrast of all outlines where they are.
        mirrored: the same of all outlines mirrored left to right, at the best common place.
    """

    bones: dict[int, EdgeFit]
    own: float
    mirrored: float


def edge_fits(grey: NDArray[np.uint8], outlines: Mapping[int, NDArray[np.floating]]) -> ImageEdges:
    """Every outline (n, 2) against the image (H, W), and all of them mirrored left to right.

    Contrast is the grey value's derivative across the outline, of the polarity that most outlines
    have, in units of the image's own and cut off there, so that no single edge decides.
    """
    scale = min(1.0, SIDE / max(grey.shape))
    slopes = _slopes(grey, scale)
    shifts = _shifts()
    placed = {index: _placed(outline, scale) for index, outline in outlines.items()}
    maps = {index: _contrast(slopes, *place, shifts) for index, place in placed.items()}
    here = np.concatenate([values[:, :, len(shifts) // 2].ravel() for values in maps.values()])
    polarity = 1.0 if np.nansum(here) >= 0 else -1.0
    strong = polarity * max(float(np.nanquantile(np.abs(here), 0.75)), 1e-6)
    means = {index: _mean(values / strong) for index, values in maps.items()}
    bones = {index: _best(mean, shifts / scale) for index, mean in means.items()}
    near, width = shifts[np.abs(shifts).max(axis=1) <= STEP], slopes.shape[2]
    turned = [
        _contrast(slopes, points * (-1, 1) + (width - 1, 0), normals * (-1, 1), near)
        for points, normals in placed.values()
    ]
    flipped = max(_common(turned, sign * strong).max() for sign in (1.0, -1.0))
    own = _common(list(maps.values()), strong)[len(shifts) // 2]
    return ImageEdges(bones, float(own), float(flipped))


def edge_findings(
    image: LabelledImage, edges: ImageEdges, hand: HandCheck | None
) -> Iterator[Finding]:
    """Outlines that lie beside edges; one finding if the labels as a whole do.

    Where the hand's anatomy is known, edges that lie where the bone cannot be do not count.
    """
    if edges.mirrored > MIRRORED_LEAST and edges.mirrored > MIRRORED_TIMES * max(edges.own, 0.0):
        says = "The outlines fit the image once they are mirrored left to right."
        yield image.finding("mirrored", list(_names(image)), 10.0, says)
        return
    least = NEAR * (hand.unit if hand else max(image.size) / 2)
    off = {index: fit for index, fit in edges.bones.items() if _is_off(fit, least)}
    if len(off) > max(3.0, HALF * len(edges.bones)):
        count = f"{len(off)} of {len(edges.bones)}"
        says = f"{count} outlines lie beside the edges: another image's labels?"
        yield image.finding("off_bone", list(_names(image)), 10.0, says)
        return
    for index, fit in off.items():
        name, far = image.class_names[index], float(np.hypot(*fit.shift))
        if hand is not None and not _is_likely(name, fit, hand):
            continue
        says = (
            f"The outline of {name} lies beside the edges; {_way(fit.shift)} they are "
            f"{fit.there / max(fit.here, 0.05):.1f} times as strong."
        )
        score = over_limit(float(np.sqrt(far / least * (fit.there - fit.here) / GAIN)), 1.0)
        yield image.finding("off_bone", [name], score, says)


def _is_likely(name: str, fit: EdgeFit, hand: HandCheck) -> bool:
    """Whether the other bones allow the place of the edges, or forbid it no more than this one."""
    if name not in HAND_BONES:
        return True
    bone = HAND_BONES.index(name)
    now, then = hand.place_sds(bone), hand.place_sds(bone, fit.shift)
    return not then > max(now, LIKELY)


def _names(image: LabelledImage) -> Iterator[str]:
    return (image.class_names[index] for index in image.main)


def _is_off(fit: EdgeFit, least: float) -> bool:
    gains = fit.there - fit.here > GAIN and fit.here < WEAK * fit.there
    return gains and float(np.hypot(*fit.shift)) >= least


def _way(shift: tuple[float, float]) -> str:
    ways = [
        f"{abs(amount):.0f} px {(less, more)[amount > 0]}"
        for amount, less, more in ((shift[0], "left", "right"), (shift[1], "up", "down"))
        if abs(amount) >= 1
    ]
    return " and ".join(ways)


def _slopes(grey: NDArray[np.uint8], scale: float) -> NDArray[np.float32]:
    """Derivatives along x and y of the image at `scale`, smoothed: (2, h, w)."""
    size = (round(grey.shape[1] * scale), round(grey.shape[0] * scale))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA) if scale < 1 else grey
    smooth = cv2.GaussianBlur(small.astype(np.float32), (0, 0), BLUR)
    return np.stack([cv2.Scharr(smooth, cv2.CV_32F, 1, 0), cv2.Scharr(smooth, cv2.CV_32F, 0, 1)])


def _placed(
    outline: NDArray[np.floating], scale: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Even points of an outline at `scale` and the outward normals there."""
    points = evenly((outline + 0.5) * scale - 0.5, POINTS)
    ahead = np.roll(points, -2, axis=0) - np.roll(points, 2, axis=0)
    normals = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    x, y = points.T
    turns = float(np.sum(x * np.roll(y, -1) - np.roll(x, -1) * y))
    return points, normals if turns >= 0 else -normals


def _shifts() -> NDArray[np.int64]:
    """(S, 2) places to try, the middle one being none."""
    steps = np.arange(-REACH, REACH + 1, STEP)
    return np.stack(np.meshgrid(steps, steps, indexing="ij"), axis=-1).reshape(-1, 2)


def _contrast(
    slopes: NDArray[np.float32],
    points: NDArray[np.float64],
    normals: NDArray[np.float64],
    shifts: NDArray[np.int64],
) -> NDArray[np.float32]:
    """How much darker it gets outwards, for every breath and point of an outline moved.

    Returns:
        (breaths, n, S); nan outside the image.
    """
    breaths = np.array(BREATHS)[:, None, None]
    height, width = slopes.shape[1:]
    at = np.rint(points + breaths * normals).astype(np.int64)[:, :, None] + shifts
    x, y = at[..., 0], at[..., 1]
    outside = (x < BORDER) | (y < BORDER) | (x >= width - BORDER) | (y >= height - BORDER)
    place = np.clip(y, 0, height - 1) * width + np.clip(x, 0, width - 1)
    ways = normals.astype(np.float32)
    x_fall, y_fall = (slope.ravel()[place] for slope in slopes)
    fall: NDArray[np.float32] = -(x_fall * ways[:, :1] + y_fall * ways[:, 1:])
    fall[outside] = np.nan
    return fall


def _mean(contrast: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of the points that the image shows, each between -1 and 1, at the best breath: (S,).

    Annotators draw on the inner or the outer side of a bright border: both are right. 0 where the
    image shows less than half of the points.
    """
    seen = ~np.isnan(contrast)
    counts = seen.sum(axis=1)
    total = np.where(seen, np.clip(contrast, -1, 1), 0.0).sum(axis=1)
    means = np.where(counts >= POINTS / 2, total / np.maximum(counts, 1), 0.0)
    best: NDArray[np.float64] = means.max(axis=0)
    return best


def _common(maps: list[NDArray[np.float32]], strong: float) -> NDArray[np.float64]:
    """Mean of all outlines moved together: (S,)."""
    mean: NDArray[np.float64] = np.mean([_mean(values / strong) for values in maps], axis=0)
    return mean


def _best(mean: NDArray[np.float64], shifts: NDArray[np.float64]) -> EdgeFit:
    best = int(mean.argmax())
    x, y = shifts[best]
    return EdgeFit(float(mean[len(mean) // 2]), float(mean[best]), (float(x), float(y)))
