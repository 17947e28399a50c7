"""A dataset's figures as words: a row a bone, lines for the whole, and JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from handbone_cli.dataset_figures import BodyFigures, DatasetFigures, ImageFigures

OFTEN = 0.5
MOST_PARTNERS = 3
MADE_BY = "hb data stats"
MARK = f'"made_by": "{MADE_BY}"'
"""Stands at the head of the JSON, so that a later run may replace it."""

HEADINGS = ("bone", "images", "area, px", "SD", "% of image", "SD", "overlaps with (images, IoU)")


def bone_rows(figures: DatasetFigures) -> list[tuple[str, ...]]:
    """A row a bone under `HEADINGS`: images, area in pixels and share, what it overlaps with."""
    pixels, shares = figures.areas, 100 * figures.shares
    rows = []
    for index, name in enumerate(figures.class_names):
        own = ~np.isnan(pixels[:, index])
        if not own.any():
            rows.append((name, "0", *[""] * (len(HEADINGS) - 2)))
            continue
        area, share = pixels[own, index], shares[own, index]
        rows.append(
            (
                name,
                str(np.count_nonzero(own)),
                f"{area.mean():,.0f}",
                f"{area.std():,.0f}",
                f"{share.mean():.3f}",
                f"{share.std():.3f}",
                ", ".join(partners(figures, index)),
            )
        )
    return rows


def partners(figures: DatasetFigures, index: int) -> list[str]:
    """The bones that one overlaps in half of the images or more, by IoU, three at most."""
    frequency, iou = figures.overlaps.frequency[index], figures.overlaps.iou[index]
    often = [i for i in np.flatnonzero(frequency >= OFTEN) if i != index]
    return [
        f"{figures.class_names[i]} ({100 * frequency[i]:.0f} %, {iou[i]:.3f})"
        for i in sorted(often, key=lambda i: -iou[i])[:MOST_PARTNERS]
    ]


def lines(figures: DatasetFigures) -> list[str]:
    """What the whole dataset is, a sentence a line."""
    labelled = figures.labelled
    people = len({image.person for image in figures.images})
    told = [
        f"{len(figures.images)} images of {people} people ({splits(figures)})",
        f"{len(labelled)} with labels",
        f"{sizes(figures)} px, {depths(figures)} bit",
    ]
    several = sum(sum(image.layers[2:]) for image in labelled)
    total = sum(image.pixels for image in labelled)
    told.append(f"{100 * several / total:.2f} % of the pixels carry two or more labels")
    sides = [f"{count} {side}" for side in ("left", "right") if (count := on_side(figures, side))]
    poses = [image for image in labelled if image.bend is not None]
    if poses:
        told.append(f"{sum(image.bent for image in poses)} of {len(poses)} wrists bent")
    if sides:
        told.append(f"hands: {', '.join(sides)}")
    if figures.bodies is not None:
        told.append(_body_line(figures.bodies))
    told.append(outlier_line(figures))
    return told


def splits(figures: DatasetFigures) -> str:
    """The images of every split."""
    names = dict.fromkeys(image.split for image in figures.images)
    return ", ".join(f"{sum(i.split == name for i in figures.images)} {name}" for name in names)


def sizes(figures: DatasetFigures) -> str:
    """Width x height, the most frequent first, three at most."""
    found = figures.sizes.most_common()
    if len(found) == 1:
        (height, width), _ = found[0]
        return f"{width} x {height}"
    shown = ", ".join(f"{w} x {h} ({count})" for (h, w), count in found[:3])
    return shown + (f" and {len(found) - 3} others" if len(found) > 3 else "")


def depths(figures: DatasetFigures) -> str:
    """Bits of a pixel."""
    return " and ".join(str(bits) for bits in sorted({image.bits for image in figures.images}))


def on_side(figures: DatasetFigures, side: str) -> int:
    """Images of left or right hands."""
    return sum(image.side == side for image in figures.images)


def outlier_line(figures: DatasetFigures) -> str:
    """How many bones are unlike the others'."""
    images = len({outlier.image_id for outlier in figures.outliers})
    return f"{len(figures.outliers)} outlying bones in {images} images"


def _body_line(bodies: BodyFigures) -> str:
    height = bodies.of_area["height"]
    known = f"metadata of {len(bodies.persons)} people"
    missing = f" ({len(bodies.without_record)} without)" if bodies.without_record else ""
    r = f"; height with area of the bones r = {height.r:.2f}" if height else ""
    return f"{known}{missing}{r}"


def as_json(figures: DatasetFigures) -> dict[str, Any]:
    """Every figure, JSON-able; null for what is not known."""
    grey = figures.grey
    content = {
        "made_by": MADE_BY,
        "name": figures.name,
        "class_names": list(figures.class_names),
        "images": [_image_json(image) for image in figures.images],
        "overlaps": {
            "images_with_both": figures.overlaps.together,
            "frequency": figures.overlaps.frequency,
            "iou": figures.overlaps.iou,
        },
        "grey": {"shares": grey.shares, "images": grey.images},
        "bodies": figures.bodies and asdict(figures.bodies),
        "outliers": [
            {**asdict(outlier), "bone": figures.class_names[outlier.index]}
            for outlier in figures.outliers
        ],
        "problems": list(figures.problems),
    }
    plain: dict[str, Any] = _plain(content)
    return plain


def _image_json(image: ImageFigures) -> dict[str, Any]:
    return {**asdict(image), "size": list(image.size)}


def _plain(value: Any) -> Any:
    """NumPy to lists, NaN to None."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
