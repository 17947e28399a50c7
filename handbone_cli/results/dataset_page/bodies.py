"""Metadata against bones: height and area by sex, and which bones go with height and sex."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.results.dataset_page.rows import Estimate, estimates
from handbone_cli.results.dataset_page.svg import (
    Scale,
    line,
    number,
    padded,
    picture,
    tag,
    text,
    title,
    x_axis,
    y_axis,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.dataset_figures import BodyFigures, Correlation, Ratio

WIDTH, HEIGHT, LEFT, TOP = 720.0, 380.0, 52.0, 36.0
SEXES = {"female": "women", "male": "men", None: "unknown"}
SIZE = 4.6


def height_chart(bodies: BodyFigures) -> str:
    """A mark a person, round for women and square for men, and the line fitted to all."""
    height, area = bodies.measures["height"], 100 * bodies.area
    known = ~np.isnan(height) & ~np.isnan(area)
    x = Scale(*padded(height[known]), LEFT, WIDTH - 14)
    y = Scale(*padded(area[known]), HEIGHT - 46, TOP)
    parts = [
        y_axis(y, LEFT, WIDTH - 14, "area of the hand's bones, % of the image"),
        x_axis(x, y.end, y.start, "height, cm"),
    ]
    fit = bodies.of_area["height"]
    if fit is not None:
        ends = float(height[known].min()), float(height[known].max())
        parts.append(_fitted(fit, ends, x, y))
    for place in np.flatnonzero(known):
        at = float(height[place]), float(area[place])
        words = f"{bodies.persons[place]}: {at[0]:.0f} cm, {at[1]:.2f} %"
        parts.append(tag("g", title(words), _mark(bodies.sexes[place], x(at[0]), y(at[1]))))
    shown = [sex for sex in SEXES if sex in {bodies.sexes[p] for p in np.flatnonzero(known)}]
    parts += [_legend(sex, WIDTH - 100 * (len(shown) - i)) for i, sex in enumerate(shown)]
    return picture(WIDTH, HEIGHT, "height against area", *parts)


def _fitted(fit: Correlation, ends: tuple[float, float], x: Scale, y: Scale) -> str:
    first, last = (100 * (fit.slope * end + fit.intercept) for end in ends)
    return line(x(ends[0]), y(first), x(ends[1]), y(last), "fitted")


def _mark(sex: str | None, x: float, y: float) -> str:
    if sex == "male":
        side = 1.75 * SIZE
        corner = {"x": x - side / 2, "y": y - side / 2}
        return tag("rect", class_="mark male", width=side, height=side, **corner)
    kind = "mark female" if sex == "female" else "mark unknown"
    return tag("circle", class_=kind, cx=number(x), cy=number(y), r=SIZE)


def _legend(sex: str | None, x: float) -> str:
    return _mark(sex, x + 6, TOP - 16) + text(x + 17, TOP - 12, SEXES[sex])


def height_rows(names: Sequence[str], found: Sequence[Correlation | None]) -> str:
    """Every bone's correlation with height."""
    shown = {
        name: _shown(name, f, f.r, f"r {f.r:.2f}", f"{f.people} people")
        for name, f in zip(names, found, strict=True)
        if f is not None
    }
    return estimates(shown, "correlation of area with height, r", neutral=0.0)


def sex_rows(names: Sequence[str], found: Sequence[Ratio | None]) -> str:
    """Every bone's area of men over that of women."""
    shown = {
        name: _shown(
            name, f, f.ratio, f"men / women {f.ratio:.2f}", f"{f.men} men, {f.women} women"
        )
        for name, f in zip(names, found, strict=True)
        if f is not None
    }
    return estimates(shown, "area of men over that of women", neutral=1.0)


def _shown(name: str, found: Correlation | Ratio, value: float, is_: str, of: str) -> Estimate:
    words = f"{name}: {is_} ({found.low:.2f} to {found.high:.2f}), {of}"
    return Estimate(value, found.low, found.high, found.certain, words)
