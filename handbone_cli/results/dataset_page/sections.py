"""The page's sections: every chart with its sentence, tables, cards of outliers."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.dataset_figures import LEAST_IMAGES, OUTLYING
from handbone_cli.results import dataset_summary as summary
from handbone_cli.results.dataset_page import bodies, grey, overlaps, pose, rows, sentences
from handbone_cli.results.dataset_page.centroids import centroid_chart
from handbone_cli.results.dataset_page.thumbnails import SIDE
from handbone_cli.results.palette import colours

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from handbone_cli.dataset_figures import BodyFigures, Correlation, DatasetFigures, Outlier

MOST_CARDS, MOST_OUTLIERS = 12, 60


@dataclass(frozen=True)
class Chart:
    """A sentence and the chart it is read from, as SVG; a half one has another beside it."""

    sentence: str
    svg: str = ""
    heading: str = ""
    half: bool = False


@dataclass(frozen=True)
class Table:
    """Rows under headings, folded away under a summary."""

    summary: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Card:
    """An image with outlying bones: its worst as a picture, a data URI or ''."""

    image_id: str
    bone: str
    words: str
    others: str
    picture: str
    side: int = SIDE


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    key: str
    heading: str
    charts: Sequence[Chart]
    table: Table | None = None
    cards: Sequence[Card] = field(default_factory=tuple)


def worst_of_images(figures: DatasetFigures) -> list[Outlier]:
    """The most outlying bone of the images that the page shows pictures of."""
    worst: dict[str, Outlier] = {}
    for outlier in figures.outliers:
        worst.setdefault(outlier.image_id, outlier)
    return list(worst.values())[:MOST_CARDS]


def all_sections(figures: DatasetFigures, pictures: Mapping[str, str]) -> list[Section]:
    """What the data has figures for; `pictures` as in dataset_page."""
    css = ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in colours(figures.class_names).tolist()]
    found = [
        _area_section(figures, css),
        Section(
            "centroids",
            "Where the bones are",
            [Chart(sentences.of_centroids(figures), centroid_chart(figures, css))],
        ),
        _overlap_section(figures),
        Section(
            "grey",
            "Grey values",
            [Chart(sentences.of_grey(figures.grey), grey.grey_chart(figures.grey))],
        ),
    ]
    if figures.bodies is not None:
        found.append(_body_section(figures.bodies, figures.class_names))
    poses = [image for image in figures.labelled if image.bend is not None]
    if poses:
        chart = Chart(sentences.of_pose(figures), pose.pose_chart(poses))
        found.append(Section("pose", "Pose", [chart]))
    return [*found, _outlier_section(figures, pictures)]


def _area_section(figures: DatasetFigures, css: Sequence[str]) -> Section:
    one_size = len(figures.sizes) == 1
    values = figures.areas if one_size else 100 * figures.shares
    unit = "px" if one_size else "% of the image"
    there = [i for i in range(len(figures.class_names)) if not np.isnan(values[:, i]).all()]
    names = [figures.class_names[i] for i in there]
    columns = [values[~np.isnan(values[:, i]), i] for i in there]

    def tell(place: int) -> str:
        lower, median, upper = np.percentile(columns[place], (25, 50, 75))
        middle = f"median {median:,.4g} {unit}, half from {lower:,.4g} to {upper:,.4g}"
        return f"{names[place]}: {middle}, {len(columns[place])} images"

    caption = f"area, {unit} (logarithmic)"
    plots = rows.box_plots(names, columns, [css[i] for i in there], caption, tell)
    table = Table("The figures of every bone", summary.HEADINGS, summary.bone_rows(figures))
    chart = Chart(sentences.of_areas(figures), plots)
    return Section("areas", "Area of the bones", [chart], table)


def _overlap_section(figures: DatasetFigures) -> Section:
    shown = overlaps.overlapping(figures.overlaps.frequency)
    names = [figures.class_names[index] for index in shown]
    frequency, iou = (
        values[np.ix_(shown, shown)]
        for values in (figures.overlaps.frequency, figures.overlaps.iou)
    )
    maps = [
        Chart(
            sentences.of_frequency(figures),
            overlaps.heat_map(names, frequency, "of the images with both share a pixel"),
            "How often: images with both in which the two share a pixel, %",
        ),
        Chart(
            sentences.of_iou(figures),
            overlaps.heat_map(names, iou, "mean intersection over union"),
            "How much: mean intersection over union, % (no number: under 0.5)",
        ),
    ]
    layers = Chart(sentences.of_layers(figures), overlaps.layer_chart(figures), "Labels of a pixel")
    return Section("overlaps", "Overlaps", [*maps, layers] if len(names) > 1 else [layers])


def _body_section(found: BodyFigures, names: Sequence[str]) -> Section:
    known = ~np.isnan(found.measures["height"]) & ~np.isnan(found.area)
    chart = bodies.height_chart(found) if known.any() else ""
    charts = [Chart(sentences.of_height(found), chart, "Height and area")]
    if any(found.of_height):
        words = sentences.of_findings(names, found.of_height, "a relation with height")
        chart = bodies.height_rows(names, found.of_height)
        charts.append(Chart(words, chart, "Bones and height", half=True))
    if any(found.of_sex):
        words = sentences.of_findings(names, found.of_sex, "a difference between men and women")
        chart = bodies.sex_rows(names, found.of_sex)
        charts.append(Chart(words, chart, "Bones and sex", half=True))
    if found.without_record:
        shown = ", ".join(found.without_record[:8])
        more = ", ..." if len(found.without_record) > 8 else ""
        words = f"Without a row in the table, {len(found.without_record)}: {shown}{more}."
        charts.append(Chart(words))
    headings = ("measure", "people", "r with area of the bones", "95 % interval")
    table = Table(
        "Age, weight and height against area",
        headings,
        [_correlation_row(name, c) for name, c in found.of_area.items()],
    )
    return Section("bodies", "Bodies and bones", charts, table)


def _correlation_row(name: str, found: Correlation | None) -> tuple[str, ...]:
    if found is None:
        return name, "too few", "", ""
    return name, str(found.people), f"{found.r:.2f}", f"{found.low:.2f} to {found.high:.2f}"


def _outlier_section(figures: DatasetFigures, pictures: Mapping[str, str]) -> Section:
    most = len(figures.outliers)
    sentence = (
        f"{summary.outlier_line(figures)}. Area against the same bone in hands of the same size, "
        "place against where the other bones of the hand put it; both as robust z, outlying from "
        f"{OUTLYING} on, where there are {LEAST_IMAGES} images or more to compare."
        f"{' Look at these labels first.' if most else ''}"
    )
    cards = [_card(figures, worst, pictures) for worst in worst_of_images(figures)]
    outliers = [
        (o.image_id, figures.class_names[o.index], _z(o.area_z), _percent(o), _z(o.distance_z))
        for o in figures.outliers[:MOST_OUTLIERS]
    ]
    headings = ("image", "bone", "area z", "distance, % of the image", "distance z")
    title = f"The worst {MOST_OUTLIERS} of {most}" if most > MOST_OUTLIERS else f"All {most}"
    table = Table(title, headings, outliers) if outliers else None
    return Section("outliers", "Outliers", [Chart(sentence)], table, cards)


def _card(figures: DatasetFigures, worst: Outlier, pictures: Mapping[str, str]) -> Card:
    own = [o for o in figures.outliers if o.image_id == worst.image_id and o is not worst]
    names = ", ".join(figures.class_names[o.index] for o in own[:4])
    more = f" and {len(own) - 4} more" if len(own) > 4 else ""
    return Card(
        worst.image_id,
        figures.class_names[worst.index],
        f"area z {_z(worst.area_z)}, {_percent(worst)} % off its place (z {_z(worst.distance_z)})",
        f"Also {names}{more}" if own else "",
        pictures.get(worst.image_id, ""),
    )


def _z(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:.1f}".replace("-0.0", "0.0")


def _percent(outlier: Outlier) -> str:
    return "?" if math.isnan(outlier.distance) else f"{100 * outlier.distance:.1f}"
