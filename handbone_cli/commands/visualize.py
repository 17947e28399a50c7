"""`hb visualize`: masks to pictures."""

from __future__ import annotations

from pathlib import Path

import click

TILE = 420
COLUMNS = 5


@click.command(short_help="Draw overlays and a contact sheet.")
@click.argument("masks", type=Path)
@click.option("--labels", help="Recipe, folder or CSV with the truth.  [default: the store's own]")
@click.option("--on", multiple=True, type=Path, metavar="STORE", help="Stores for a decision.")
@click.option("--limit", type=int, help="Only the first so many images.")
@click.option("-o", "--output", type=Path, required=True, help="Folder for the pictures.")
def visualize(
    masks: Path, labels: str | None, on: tuple[Path, ...], limit: int | None, output: Path
) -> None:
    """Draw MASKS, a store or a decision (.toml): an overlay an image and a contact sheet.

    One fixed colour a bone; where there are labels, what was missed and what is too much.

    \b
    hb visualize stores/first_val -o pictures
    """
    from handbone_cli.commands.wiring.datasets import image_reader
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.commands.wiring.masks import open_masks
    from handbone_cli.host.registry import installed
    from handbone_cli.results.contact_sheet import contact_sheet
    from handbone_cli.results.overlay import draw_bones, draw_overlay
    from handbone_cli.results.pictures import write_png
    from handbone_cli.terminal.progress import progress

    registry = installed()
    source, stores = open_masks(masks, registry, on)
    truth = open_labels(labels, stores, source.class_names, registry)
    read = image_reader(stores[0], registry)
    chosen = list(source.image_ids)[:limit]
    tiles = []
    with progress("Drawing") as report:
        for done, image_id in enumerate(chosen, start=1):
            grey, mask = read(image_id), source.mask(image_id)
            labelled = truth.mask(image_id, mask.size) if truth.has(image_id) else None
            names = source.class_names
            picture = draw_overlay(grey, mask, names, truth=labelled, title=image_id)
            write_png(output / f"{image_id}.png", picture)
            plain = draw_bones(grey, mask, names, max_side=TILE)
            tiles.append((image_id, plain))
            report(done, len(chosen))
    write_png(output / "contact_sheet.png", contact_sheet(tiles, COLUMNS, TILE))
    click.echo(f"{output}: {len(chosen)} overlays and contact_sheet.png")
