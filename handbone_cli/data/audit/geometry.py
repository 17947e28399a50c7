"""Faults that an outline shows by itself: crossings, what leaves the image, doubled, extra."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.data.audit.finding import over_limit
from handbone_cli.data.audit.labelled_image import area_of, box_of, shared
from handbone_cli.masks import clip_box

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from handbone_cli.data.audit.finding import Finding
    from handbone_cli.data.audit.labelled_image import LabelledImage

CHUNK = 32  # edges of an outline that are boxed together
LEAST_LOOP = 0.0005  # of the area; a smaller loop is the rounding of vertices
LEAST_LOOP_PX = 4.0
SAME = 0.75  # IoU of two outlines that are one; Triquetrum and Pisiform have 0.4
EMPTY_PX = 2.0


def geometry_findings(image: LabelledImage) -> Iterator[Finding]:
    """What is wrong with single outlines and with parts of one bone, whatever the bones are."""
    for index, parts in image.parts.items():
        name = image.class_names[index]
        for outline in parts:
            yield from _crossing(image, name, outline)
            yield from _outside(image, name, outline)
        for place, part in enumerate(parts[1:], start=1):
            yield _further(image, name, parts[:place], part)
    yield from _same_outline(image)


def _crossing(image: LabelledImage, name: str, outline: NDArray[np.float32]) -> Iterator[Finding]:
    loop = crossing_loop(outline)
    limit = max(LEAST_LOOP * area_of(outline), LEAST_LOOP_PX)
    if loop >= limit:
        says = f"The outline of {name} crosses itself; a loop of {loop:.0f} px\u00b2 is cut off."
        score = 2 + 8 * min(1.0, loop / max(area_of(outline), 1.0))
        yield image.finding("crossing", [name], score, says)


def _outside(image: LabelledImage, name: str, outline: NDArray[np.float32]) -> Iterator[Finding]:
    height, width = image.size
    low, high = outline.min(axis=0), outline.max(axis=0)
    over = float(max(-low[0], -low[1], high[0] - width + 1, high[1] - height + 1))
    if over > 0.5:
        says = f"{name} leaves the image ({width} x {height}) by {over:.0f} px."
        box = clip_box(box_of(outline), (0, height, 0, width))
        score = min(10.0, 1 + 100 * over / max(image.size))
        yield image.finding("outside", [name], score, says, box)


def _further(
    image: LabelledImage,
    name: str,
    before: list[NDArray[np.float32]],
    part: NDArray[np.float32],
) -> Finding:
    alike = max(shared(outline, part)[0] for outline in before)
    box = clip_box(box_of(part), (0, image.size[0], 0, image.size[1]))
    if alike >= 0.5:
        return image.finding("doubled", [name], 4.0, f"{name} is outlined twice.", box)
    share = area_of(part) / max(area_of(before[0]), 1.0)
    says = f"{name} has a second outline elsewhere, {100 * share:.0f} % as large."
    return image.finding("extra", [name], min(10.0, 2 + 4 * share), says, box)


def _same_outline(image: LabelledImage) -> Iterator[Finding]:
    main = list(image.main.items())
    for place, (one, outline) in enumerate(main):
        for other, second in main[place + 1 :]:
            sizes = sorted((area_of(outline), area_of(second)))
            if sizes[0] < SAME * sizes[1]:
                continue
            alike, _ = shared(outline, second)
            if alike >= SAME:
                names = [image.class_names[one], image.class_names[other]]
                says = f"{names[0]} and {names[1]} have the same outline (IoU {alike:.2f})."
                yield image.finding("doubled", names, over_limit(4 * alike, SAME), says)


def crossing_loop(outline: NDArray[np.floating]) -> float:
    """Area of the largest loop that a crossing cuts off an outline (n, 2); 0 without a crossing.

    Edges are compared only where the boxes of their chunks meet.
    """
    points = _corners(outline)
    crossings = _crossings(points)
    loops = [0.0]
    for first, second, where in crossings:
        inner = np.concatenate([where[None], points[first + 1 : second + 1]])
        outer = np.concatenate([where[None], points[second + 1 :], points[: first + 1]])
        loops.append(min(area_of(inner), area_of(outer)))
    return max(loops)


def _corners(outline: NDArray[np.floating]) -> NDArray[np.float64]:
    """An outline without the points on straight lines between others."""
    fewer = cv2.approxPolyDP(np.ascontiguousarray(outline, np.float32)[:, None], 0.0, closed=True)
    points: NDArray[np.float64] = fewer[:, 0].astype(np.float64)
    return points


def _crossings(
    points: NDArray[np.float64],
) -> list[tuple[int, int, NDArray[np.float64]]]:
    """Pairs of edges i < j that cross properly, and where."""
    ends = np.roll(points, -1, axis=0)
    edges = np.arange(-(-len(points) // CHUNK) * CHUNK).reshape(-1, CHUNK) % len(points)
    both = np.stack([points[edges], ends[edges]])
    low, high = both.min(axis=(0, 2)), both.max(axis=(0, 2))
    meet = (low[:, None] <= high[None]).all(axis=2) & (low[None] <= high[:, None]).all(axis=2)
    one, other = np.nonzero(np.triu(meet))
    i, j = edges[one][:, :, None], edges[other][:, None, :]
    a, b, c, d = points[i], ends[i], points[j], ends[j]
    cross = (_side(a, b, c) * _side(a, b, d) < 0) & (_side(c, d, a) * _side(c, d, b) < 0)
    pairs = {
        (min(first, second), max(first, second))
        for first, second in zip(
            np.broadcast_to(i, cross.shape)[cross].tolist(),
            np.broadcast_to(j, cross.shape)[cross].tolist(),
            strict=True,
        )
    }
    return [(first, second, _meeting(points, ends, first, second)) for first, second in pairs]


def _meeting(
    points: NDArray[np.float64], ends: NDArray[np.float64], first: int, second: int
) -> NDArray[np.float64]:
    """Where two edges cross."""
    p, q, r, s = points[first], ends[first], points[second], ends[second]
    share = float(_side(r, s, p) / (_side(r, s, p) - _side(r, s, q)))
    place: NDArray[np.float64] = p + share * (q - p)
    return place


def _side(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]
) -> NDArray[np.float64]:
    """On which side of the line from a to b a point c lies."""
    turn: NDArray[np.float64] = (b[..., 0] - a[..., 0]) * (c[..., 1] - a[..., 1]) - (
        b[..., 1] - a[..., 1]
    ) * (c[..., 0] - a[..., 0])
    return turn
