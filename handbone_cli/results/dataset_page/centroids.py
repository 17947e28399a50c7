"""Where the bones are: every image's centroids on the mean outlines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.results.dataset_page.svg import (
    CHARACTER,
    dots,
    line,
    picture,
    polygon,
    tag,
    text,
    title,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.dataset_figures import DatasetFigures

WIDTH = 620.0
EDGE = 18.0
LETTER = CHARACTER * 11 / 12
LINE = 15.0  # from a name to the one below
AWAY = 22.0  # from what is drawn to names beside it
CROWD = 200  # images; the dots of more are smaller
FINGER = "finger-"


def centroid_chart(figures: DatasetFigures, colours: Sequence[str]) -> str:
    """Mean outlines at the mean centroid, a dot an image and bone, names where they fit."""
    points, usual = figures.hand_centroids, figures.usual
    middles = {
        index: np.nanmean(points[usual, index], axis=0)
        for index in range(len(figures.class_names))
        if not np.isnan(points[usual, index]).all()
    }
    outlines = {i: figures.outlines[i] + middles[i] for i in middles if i in figures.outlines}
    corners = np.concatenate([points.reshape(-1, 2), *outlines.values()])
    low, high = np.nanmin(corners, axis=0), np.nanmax(corners, axis=0)
    scale = (WIDTH - 2 * EDGE) / max(float(high[0] - low[0]), 0.75 * float(high[1] - low[1]), 1e-6)
    height = scale * float(high[1] - low[1]) + 2 * EDGE
    width = scale * float(high[0] - low[0])
    corner = np.array([(WIDTH - width) / 2, EDGE])

    def place(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray((values - low) * scale + corner)

    radius = 4.5 if len(points) < CROWD else 2.5
    under, over = [], []
    for index in middles:
        colour = f"--c:{colours[index]}"
        told = title(_spread(figures.class_names[index], points[usual, index]))
        there = ~np.isnan(points[:, index, 0])
        for kind, chosen in (("centroid", usual & there), ("centroid pale", ~usual & there)):
            d = dots(place(points[chosen, index]))
            over.append(tag("path", told, class_=kind, style=f"{colour};--r:{radius}px", d=d))
        if index in outlines:
            d = polygon(place(outlines[index]))
            under.append(tag("path", told, class_="outline", style=colour, d=d))
    names = _names(
        {figures.class_names[i]: place(middle) for i, middle in middles.items()},
        {figures.class_names[i]: place(outline) for i, outline in outlines.items()},
    )
    return picture(WIDTH, height, "centroids of all bones", *under, *over, names, smallest=0.55)


def _spread(name: str, points: NDArray[np.float64]) -> str:
    x, y = 100 * np.nanstd(points, axis=0)
    return f"{name}: SD {x:.1f} % of the image across, {y:.1f} % along"


def _names(
    middles: Mapping[str, NDArray[np.float64]], outlines: Mapping[str, NDArray[np.float64]]
) -> str:
    """Names on bones that have room for them (a finger's number alone), the others beside all."""
    inside: list[str] = []
    outside: list[str] = []
    taken: list[tuple[float, float, float]] = []
    for name, middle in middles.items():
        short = name.removeprefix(FINGER)
        room = np.ptp(outlines.get(name, middle[None]), axis=0)
        x, y, width = float(middle[0]), float(middle[1]), LETTER * len(short)
        free = all(abs(x - u) > (width + w) / 2 or abs(y - v) > LINE for u, v, w in taken)
        if free and width <= room[0] and room[1] >= LINE:
            taken.append((x, y, width))
            inside.append(text(x, y + 4, short, class_="name", text_anchor="middle"))
        else:
            outside.append(name)
    drawn = np.concatenate([_dense(outline) for outline in (*outlines.values(), np.zeros((0, 2)))])
    centre = float(np.median([middles[name][0] for name in outside])) if outside else 0.0
    left = [name for name in outside if middles[name][0] < centre]
    right = [name for name in outside if name not in left]
    beside = [_column(names, middles, drawn, way) for names, way in ((left, -1), (right, 1))]
    return "".join([*beside, *inside])


def _column(
    names: Sequence[str],
    middles: Mapping[str, NDArray[np.float64]],
    drawn: NDArray[np.float64],
    way: int,
) -> str:
    """Names one below the other to the left (-1) or right (1) of what is drawn, with leaders."""
    order = sorted(names, key=lambda name: float(middles[name][1]))
    if not order:
        return ""
    middle = float(np.mean([middles[name][1] for name in order]))
    top = middle - LINE * (len(order) - 1) / 2
    rows = [top + LINE * place for place in range(len(order))]
    near = drawn[(drawn[:, 1] > rows[0] - LINE) & (drawn[:, 1] < rows[-1] + LINE)]
    edges = [*(way * near[:, 0]), *(way * float(middles[name][0]) for name in order)]
    x = way * (float(max(edges)) + AWAY)
    anchor = "end" if way < 0 else "start"
    return "".join(
        line(x - 3 * way, y - 4, float(middles[name][0]), float(middles[name][1]), "leader")
        + text(x, y, name, class_="name", text_anchor=anchor)
        for name, y in zip(order, rows, strict=True)
    )


def _dense(outline: NDArray[np.float64]) -> NDArray[np.float64]:
    """An outline with points all along its edges."""
    steps = np.linspace(0, 1, 16, endpoint=False)[:, None, None]
    between = outline + steps * (np.roll(outline, -1, axis=0) - outline)
    return np.asarray(between.reshape(-1, 2))
