"""`hb visualize`: masks to pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource, MaskSource

TILE = 420
COLUMNS = 5
SHEET = "contact_sheet"


class Scene(NamedTuple):
    """What is drawn: masks, the truth, the radiographs by image id and the files they are from."""

    masks: MaskSource
    truth: LabelSource
    read: Callable[[str], NDArray[np.uint8]]
    files: set[Path]


@click.command(short_help="Draw overlays and a contact sheet.")
@click.argument("masks", type=Path)
@click.option(
    "--labels",
    help="Recipe, folder or CSV with the truth; for a CSV of masks its images, too.  "
    "[default: the store's own]",
)
@click.option("--on", multiple=True, type=Path, metavar="STORE", help="Stores for a decision.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many images.")
@click.option("-o", "--output", type=Path, required=True, help="Folder for the pictures.")
def visualize(
    masks: Path, labels: str | None, on: tuple[Path, ...], limit: int | None, output: Path
) -> None:
    """Draw MASKS, a store, a decision (.toml) or a submission (.csv): an overlay an image.

    A contact sheet comes with them. One fixed colour a bone; where there are labels, what was
    missed and what is too much. Files that are no pictures of hb are never written over.

    \b
    hb visualize stores/first_val -o pictures
    hb visualize submission.csv --labels my_data -o pictures
    """
    from handbone_cli.host.registry import installed
    from handbone_cli.results.contact_sheet import contact_sheet
    from handbone_cli.results.overlay import draw_bones, draw_overlay
    from handbone_cli.results.pictures import write_png
    from handbone_cli.terminal.progress import progress

    scene = open_scene(masks, labels, on, installed())
    chosen = list(scene.masks.image_ids)[:limit]
    refuse_foreign_pictures(output, [*chosen, SHEET], scene.files)
    tiles = []
    with progress("Drawing") as report:
        for done, image_id in enumerate(chosen, start=1):
            grey, mask = scene.read(image_id), scene.masks.mask(image_id)
            known = scene.truth.has(image_id)
            labelled = scene.truth.mask(image_id, mask.size) if known else None
            names = scene.masks.class_names
            picture = draw_overlay(grey, mask, names, truth=labelled, title=image_id)
            write_png(output / f"{image_id}.png", picture)
            plain = draw_bones(grey, mask, names, max_side=TILE)
            tiles.append((image_id, plain))
            report(done, len(chosen))
    write_png(output / f"{SHEET}.png", contact_sheet(tiles, COLUMNS, TILE))
    click.echo(f"{output}: {len(chosen)} overlays and {SHEET}.png")


def open_scene(masks: Path, labels: str | None, on: tuple[Path, ...], registry: Registry) -> Scene:
    """Masks of whatever kind with their truth and their radiographs."""
    from handbone_cli.commands.wiring.datasets import image_reader
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.commands.wiring.masks import is_csv, open_masks, open_submission

    if is_csv(masks):
        submitted, truth = open_submission(masks, labels, registry)
        return Scene(submitted, truth, submitted.read_grey, submitted.files)
    source, stores = open_masks(masks, registry, on)
    truth = open_labels(labels, stores, source.class_names, registry)
    entries = [entry for store in stores for entry in store.images.values()]
    files = {Path(entry.source) for entry in entries if entry.source}
    return Scene(source, truth, image_reader(stores[0], registry), files)


def refuse_foreign_pictures(folder: Path, names: Iterable[str], radiographs: set[Path]) -> None:
    """Refuse a folder of images that hb did not draw: overlays must neither replace nor join them.

    Beside radiographs they would be taken for some by the next prediction or training.
    """
    from handbone_cli.data.images import SUFFIXES
    from handbone_cli.files import refuse_foreign
    from handbone_cli.results.pictures import is_picture

    def never(_head: bytes) -> bool:
        return False

    sources = {path.resolve() for path in radiographs}
    there = sorted(folder.iterdir()) if folder.is_dir() else []
    images = [path for path in there if path.suffix.lower() in SUFFIXES]
    for path in dict.fromkeys([*(folder / f"{name}.png" for name in names), *images]):
        refuse_foreign(path, "a picture", never if path.resolve() in sources else is_picture)
