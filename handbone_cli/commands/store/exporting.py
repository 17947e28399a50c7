"""`hb store export`: a store, or masks of whatever kind, as files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.commands.wiring.exporting import CubeExport

CUBES = ("npz", "npy")


@click.command(short_help="Write probabilities as .npz or .npy, masks as PNG, COCO or contours.")
@click.argument("path", type=Path, metavar="MASKS")
@click.option("-o", "--output", type=Path, required=True, help="Folder to write.")
@click.option(
    "--to",
    "kinds",
    type=click.Choice([*CUBES, "png", "packed", "coco", "contours"]),
    multiple=True,
    required=True,
    help="Form; again for more.",
)
@click.option("--on", multiple=True, type=Path, metavar="STORE", help="Stores for a decision.")
@click.option("--labels", help="Recipe or folder with the images of a CSV.")
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32", "uint8"]),
    help="Of npz and npy; uint8 is 255 p.  [default: float16]",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Of a store's masks: bone is where p is larger.  [default: 0.5]",
)
@click.option("--image", "images", multiple=True, metavar="ID", help="Only this image.")
@click.option("--bone", "bones", multiple=True, metavar="NAME", help="Only this bone.")
def export(
    path: Path, output: Path, kinds: tuple[str, ...], on: tuple[Path, ...], labels: str | None,
    dtype: str | None, threshold: float | None, images: tuple[str, ...], bones: tuple[str, ...],
) -> None:  # fmt: skip
    """Write MASKS, a store, a decision (.toml) or a submission (.csv), in forms of other programs.

    Of a store, probabilities: IMAGE.npz (key `probabilities`) or IMAGE.npy, (C, H, W), classes in
    the order of classes.txt beside them. Masks, by the rules of the recipe or the decision as `hb
    submit` has them: IMAGE/BONE.png; IMAGE.png with a bit a bone (packed); coco.json;
    PERSON/IMAGE.json with outlines (contours). Several forms go to folders of their names. What is
    there already is not written again; other files are never written over.

    \b
    hb store export stores/first_test -o cubes --to npz
    hb store export stores/first_test -o masks --to png --bone Radius --bone Ulna
    hb store export ensemble.toml --on stores/a --on stores/b -o masks --to packed --to coco
    """
    from handbone_cli.commands.wiring.exporting import export_to, open_masks_to_export
    from handbone_cli.host.registry import installed

    cubes = [kind for kind in kinds if kind in CUBES]
    masks = [kind for kind in kinds if kind not in CUBES]
    if (threshold is not None and not masks) or (dtype is not None and not cubes):
        raise click.UsageError("--threshold goes with masks, --dtype with npz and npy.")
    if cubes and masks:
        raise click.UsageError("npz and npy are exported by themselves, without forms of masks.")
    source = (
        open_cubes(path, dtype or "float16", images, bones)
        if cubes
        else open_masks_to_export(
            path, installed(), on=on, labels=labels, threshold=threshold, images=images, bones=bones
        )
    )
    click.echo("\n".join(export_to(output, kinds, source)))


def open_cubes(path: Path, dtype: str, images: Sequence[str], bones: Sequence[str]) -> CubeExport:
    """The probabilities of a store; masks that are decided have none."""
    from handbone_cli.commands.wiring.exporting import CubeExport, chosen_of
    from handbone_cli.errors import HandboneError
    from handbone_cli.store.store import Store

    if path.is_file():
        raise HandboneError(f"{path}: npz and npy are of a store; this has masks alone.")
    store = Store.open(path)
    store.require_classes(bones)
    if not store.image_ids:
        raise HandboneError(f"{path}: there is no predicted image in it yet.")
    ids = chosen_of(
        images, store.image_ids, lambda name: f"{path}: there is no image '{name}' in it."
    )
    return CubeExport(store, ids, tuple(dict.fromkeys(bones)) or store.class_names, dtype)
