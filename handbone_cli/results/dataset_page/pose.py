"""How the hands lie: degrees of the wrist, a histogram a split."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.anatomy.pose import BENT
from handbone_cli.results.dataset_page.svg import (
    Scale,
    line,
    picture,
    tag,
    text,
    title,
    x_axis,
    y_axis,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.dataset_figures import ImageFigures

WIDTH, PANEL, LEFT, TOP, FOOT = 720.0, 130.0, 52.0, 50.0, 46.0
STEP = 4
"""Degrees a bar."""


def pose_chart(images: Sequence[ImageFigures]) -> str:
    """A histogram of the wrist's bend for every split that has poses; bent ones are accented."""
    splits = {
        split: np.array([image.bend for image in images if image.split == split], np.float64)
        for split in dict.fromkeys(image.split for image in images)
    }
    every = np.concatenate(list(splits.values()))
    # Bars begin and end at the limits, so that none is half bent.
    furthest = max(float(np.abs(every).max()), BENT) - BENT
    high = BENT + STEP * (math.floor(furthest / STEP) + 1)
    edges = np.linspace(-high, high, round(2 * high / STEP) + 1)
    x = Scale(-high, high, LEFT, WIDTH - 14)
    parts: list[str] = []
    top = TOP
    for split, bends in splits.items():
        parts.append(_panel(split, bends, edges, x, top))
        top += PANEL + TOP
    bottom = top - TOP
    caption = "bend of the wrist, degrees (positive: towards the little finger)"
    return picture(
        WIDTH, bottom + FOOT, "bend of the wrist", *parts, x_axis(x, bottom, bottom, caption)
    )


def _panel(
    split: str, bends: NDArray[np.float64], edges: NDArray[np.float64], x: Scale, top: float
) -> str:
    counts, _ = np.histogram(bends, bins=edges)
    shares = 100 * counts / len(bends)
    y = Scale(0, 1.1 * float(shares.max()), top + PANEL, top)
    bent = int(np.count_nonzero(np.abs(bends) >= BENT))
    caption = (
        f"{split}: {len(bends)} images, {bent} bent ({100 * bent / len(bends):.0f} %); share, %"
    )
    parts = [y_axis(y, LEFT, WIDTH - 14, caption)]
    for start, share, count in zip(edges, shares, counts, strict=False):
        if count:
            middle = float(start) + STEP / 2
            kind = "bar bent" if abs(middle) >= BENT else "bar"
            told = title(f"{start:.0f} to {start + STEP:.0f} degrees: {count} images")
            left, width = x(float(start)) + 0.75, x(STEP) - x(0) - 1.5
            height = y.start - y(float(share))
            parts.append(
                tag(
                    "rect", told, class_=kind, x=left, y=y(float(share)), width=width, height=height
                )
            )
    parts += [line(x(limit), top, x(limit), top + PANEL, "neutral") for limit in (-BENT, BENT)]
    parts.append(
        text(x(BENT), top - 5, f"bent from {BENT:.0f}", class_="tick", text_anchor="middle")
    )
    return "".join(parts)
