"""`hb store export`: a store as files of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.store.store import Store

MARK = "export.json"
CLASSES = "classes.txt"


class Form(NamedTuple):
    """How images are written: what the files are, of which classes, and at which threshold."""

    kind: str
    dtype: str
    threshold: float
    class_names: tuple[str, ...]

    def settings(self, store: Path) -> dict[str, Any]:
        """What a folder of exports says of them."""
        own = {"threshold": self.threshold} if self.kind == "png" else {"dtype": self.dtype}
        names = list(self.class_names)
        return {"store": str(store.resolve()), "to": self.kind, **own, "class_names": names}


@click.command(short_help="Write a store as .npz, .npy or PNG masks.")
@click.argument("path", type=Path, metavar="STORE")
@click.option("-o", "--output", type=Path, required=True, help="Folder to write.")
@click.option("--to", "kind", type=click.Choice(["npz", "npy", "png"]), required=True)
@click.option(
    "--dtype",
    type=click.Choice(["float16", "float32", "uint8"]),
    help="Of npz and npy; uint8 is 255 p.  [default: float16]",
)
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    help="Of png: a mask is where p is larger.  [default: 0.5]",
)
@click.option("--image", "images", multiple=True, metavar="ID", help="Only this image.")
@click.option("--bone", "bones", multiple=True, metavar="NAME", help="Only this bone.")
def export(
    path: Path,
    output: Path,
    kind: str,
    dtype: str | None,
    threshold: float | None,
    images: tuple[str, ...],
    bones: tuple[str, ...],
) -> None:
    """Write the images of STORE: IMAGE.npz (key `probabilities`), IMAGE.npy, or IMAGE/BONE.png.

    Cubes are (C, H, W), classes in the order of classes.txt beside them. What is there already is
    not written again; a folder with other files is refused.

    \b
    hb store export stores/first_test -o cubes --to npz
    hb store export stores/first_test -o masks --to png --bone Radius --bone Ulna
    """
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import claim_folder, write_text
    from handbone_cli.store.exporting import require_file_names
    from handbone_cli.store.store import Store
    from handbone_cli.terminal.progress import progress

    if (threshold is not None and kind != "png") or (dtype is not None and kind == "png"):
        raise click.UsageError("--threshold goes with --to png, --dtype with npz and npy.")
    store = Store.open(path)
    form = Form(kind, dtype or "float16", threshold or 0.5, tuple(bones) or store.class_names)
    chosen = choose_images(store, images)
    store.require_classes(form.class_names)
    if kind == "png":
        require_file_names(form.class_names)
    if not chosen:
        raise HandboneError(f"{path}: there is no predicted image in it yet.")
    claim_folder(output, MARK, form.settings(path))
    if kind != "png":
        write_text(output / CLASSES, "\n".join(form.class_names) + "\n")
    made = 0
    with progress("Exporting") as report:
        report(0, len(chosen))
        for done, image_id in enumerate(chosen, start=1):
            made += export_one(store, image_id, output, form)
            report(done, len(chosen))
    there = f", {len(chosen) - made} were there" if made < len(chosen) else ""
    click.echo(f"{output}: {made} images written{there}, {len(form.class_names)} classes")


def choose_images(store: Store, named: Sequence[str]) -> list[str]:
    """The images asked for, in the store's order; all by default."""
    from handbone_cli.errors import HandboneError, closest

    for name in named:
        if name not in store.images:
            hint = closest(name, store.images).split(" Known:")[0]
            meant = f" {hint}" if hint.startswith("Did") else ""
            raise HandboneError(f"{store.path}: there is no image '{name}' in it.{meant}")
    return [image_id for image_id in store.image_ids if not named or image_id in named]


def export_one(store: Store, image_id: str, output: Path, form: Form) -> bool:
    """Write one image unless it is there from the same file of the store."""
    from handbone_cli.store.exporting import is_current, mark_current
    from handbone_cli.store.store import image_file

    made = output / (image_id if form.kind == "png" else f"{image_id}.{form.kind}")
    source = image_file(store.path, image_id)
    if is_current(made, source):
        return False
    writers()[form.kind](made, store.load(image_id, form.class_names), form)
    mark_current(made, source)
    return True


def writers() -> dict[str, Callable[[Path, BoxedProbabilities, Form], None]]:
    """What writes each kind."""
    from handbone_cli.store.exporting import export_masks, export_npy, export_npz

    return {
        "npz": lambda made, found, form: export_npz(made, found, form.dtype, form.class_names),
        "npy": lambda made, found, form: export_npy(made, found, form.dtype),
        "png": lambda made, found, form: export_masks(
            made, found, form.class_names, form.threshold
        ),
    }
