"""Grey values of bone, overlap and background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.dataset_figures import GREY_KINDS
from handbone_cli.results.dataset_page.svg import (
    Scale,
    picture,
    polygon,
    tag,
    text,
    title,
    x_axis,
    y_axis,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.dataset_figures import GreyFigures

WIDTH, HEIGHT, LEFT, TOP = 720.0, 300.0, 52.0, 36.0
BIN = 4
"""Grey values a step; single ones would show the decoder's comb."""

SPIKE = 2.5
"""What is so many times as high as the bones' highest step is cut, and told of."""


def grey_chart(grey: GreyFigures) -> str:
    """Three overlaid histograms, each of area 1; spikes are cut and told of."""
    steps = 100 * grey.shares.reshape(len(GREY_KINDS), -1, BIN).sum(axis=2)
    top = 1.12 * min(float(steps.max()), SPIKE * float(steps[1:, 1:-1].max())) or 1.0
    x = Scale(0, 256, LEFT, WIDTH - 14)
    y = Scale(0, top, HEIGHT - 46, TOP)
    parts = [
        y_axis(y, LEFT, WIDTH - 14, f"share of its pixels per {BIN} grey values, %"),
        x_axis(x, y.start, y.start, "grey value (8 bit, before CLAHE)"),
    ]
    for kind, name in enumerate(GREY_KINDS):
        if grey.images[kind]:
            parts.append(_histogram(name, kind, steps[kind], x, y))
            parts.append(_legend(name, kind, WIDTH - 330 + 112 * kind))
    parts += [_cut(name, steps[kind], x, y) for kind, name in enumerate(GREY_KINDS)]
    return picture(WIDTH, HEIGHT, "grey values", *parts)


def _histogram(name: str, kind: int, steps: NDArray[np.float64], x: Scale, y: Scale) -> str:
    edges = np.repeat(np.arange(len(steps) + 1) * BIN, 2)[1:-1]
    heights = np.minimum(np.repeat(steps, 2), y.high)
    tops = [(x(float(a)), y(float(b))) for a, b in zip(edges, heights, strict=True)]
    outline = np.array([(x(0), y(0)), *tops, (x(256), y(0))])
    told = title(f"{name}: largest share {steps.max():.2g} % at {BIN * int(steps.argmax())}")
    return tag("path", told, class_=f"grey grey-{kind}", d=polygon(outline))


def _legend(name: str, kind: int, x: float) -> str:
    swatch = tag("rect", class_=f"grey grey-{kind}", x=x, y=TOP - 22, width=22.0, height=12.0)
    return swatch + text(x + 29, TOP - 12, name)


def _cut(name: str, steps: NDArray[np.float64], x: Scale, y: Scale) -> str:
    highest = int(steps.argmax())
    if steps[highest] <= y.high:
        return ""
    place = x((highest + 0.5) * BIN)
    on_the_left = place < (x.start + x.end) / 2
    words = f"{name}: up to {steps[highest]:.0f} %"
    away, anchor = (14, "start") if on_the_left else (-14, "end")
    return text(place + away, y.end + 12, words, class_="tick", text_anchor=anchor)
