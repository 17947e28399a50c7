"""What the figures of a dataset need beside it: its people's table, pictures of its outliers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.data.metadata import PersonRecord
    from handbone_cli.dataset_figures import DatasetFigures
    from handbone_cli.host.interfaces import Dataset
    from handbone_cli.host.registry import Registry


def find_records(
    source: str, meta: Path | None, overrides: Sequence[str], registry: Registry
) -> dict[str, PersonRecord] | None:
    """The people of the table that is named, or that lies beside the data; None without one."""
    from handbone_cli.data.metadata import find_metadata, read_metadata
    from handbone_cli.recipe.load import load_recipe

    if meta is not None:
        return read_metadata(meta)
    is_folder = Path(source).is_dir()
    root = Path(source) if is_folder else load_recipe(source, registry, overrides).data.root
    found = find_metadata(root) if root else None
    return read_metadata(found) if found else None


def draw_outliers(figures: DatasetFigures, dataset: Dataset) -> dict[str, str]:
    """Thumbnails of the worst images, read once more: image id -> data URI."""
    from handbone_cli.commands.wiring.datasets import all_samples
    from handbone_cli.data.preprocessing import to_uint8
    from handbone_cli.masks import as_polygons
    from handbone_cli.results.dataset_page.sections import worst_of_images
    from handbone_cli.results.dataset_page.thumbnails import thumbnail
    from handbone_cli.results.palette import colours

    rgb = [(red, green, blue) for red, green, blue in colours(figures.class_names).tolist()]
    samples = {sample.image_id: sample for sample in all_samples(dataset)}
    drawn = {}
    for outlier in worst_of_images(figures):
        sample = samples[outlier.image_id]
        outlines = as_polygons(sample.read_labels()) if sample.read_labels else {}
        if outlier.index in outlines:
            grey = to_uint8(sample.read_image())
            colour = rgb[outlier.index]
            drawn[outlier.image_id] = thumbnail(grey, outlines, outlier.index, colour)
    return drawn
