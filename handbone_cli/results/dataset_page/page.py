"""Head and sections put together to one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from handbone_cli.results import dataset_summary as summary
from handbone_cli.results.dataset_page.sections import all_sections

if TYPE_CHECKING:
    from collections.abc import Mapping

    from handbone_cli.dataset_figures import DatasetFigures

GENERATOR = f"handbone: {summary.MADE_BY}"
"""Marks a page as ours, so that a later run may replace it."""

MOST_PROBLEMS = 50


@dataclass(frozen=True)
class Tile:
    """One figure at the head of the page."""

    what: str
    figure: str
    note: str = ""


def dataset_page(figures: DatasetFigures, pictures: Mapping[str, str]) -> str:
    """The whole page as HTML.

    Args:
        figures: of the dataset.
        pictures: image id -> data URI of a thumbnail, of those of `sections.worst_of_images`.
    """
    import jinja2
    from markupsafe import Markup

    folder = files("handbone_cli.results.dataset_page")
    # Autoescape: names come from files that anybody may have written.
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        (folder / "page.html.jinja").read_text(encoding="utf-8")
    )
    style = Markup((folder / "page.css").read_text(encoding="utf-8"))  # noqa: S704  our own file
    return template.render(
        generator=GENERATOR,
        name=figures.name,
        lead=_lead(figures),
        style=style,
        tiles=_tiles(figures),
        problems=figures.problems,
        most_problems=MOST_PROBLEMS,
        sections=[
            {**vars(s), "charts": [{**vars(c), "svg": Markup(c.svg)} for c in s.charts]}  # noqa: S704  svg.py escapes
            for s in all_sections(figures, pictures)
        ],
    )


def _lead(figures: DatasetFigures) -> str:
    labelled = figures.labelled
    people = {image.person for image in labelled}
    return (
        f"Everything below is measured on the {len(labelled)} images of {len(people)} people that "
        f"have labels of {len(figures.class_names)} bones. Rest the pointer on a mark to read its "
        "figures."
    )


def _tiles(figures: DatasetFigures) -> list[Tile]:
    people = {image.person for image in figures.images}
    tiles = [
        Tile("Images", f"{len(figures.images):,}", summary.splits(figures)),
        Tile("People", f"{len(people):,}"),
        Tile("With labels", f"{len(figures.labelled):,}"),
        Tile("Sizes", summary.sizes(figures), f"{summary.depths(figures)} bit"),
    ]
    left, right = (summary.on_side(figures, side) for side in ("left", "right"))
    if left or right:
        tiles.append(Tile("Left, right hands", f"{left:,}, {right:,}"))
    poses = [image for image in figures.labelled if image.bend is not None]
    if poses:
        bent = sum(image.bent for image in poses)
        share = f"{100 * bent / len(poses):.0f} % of {len(poses)}"
        tiles.append(Tile("Bent wrists", f"{bent:,}", share))
    return tiles
