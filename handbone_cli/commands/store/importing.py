"""`hb store import`: a store of other programs' probabilities."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.commands.wiring.importing import Known
    from handbone_cli.store.importing import ArrayForm

CSV = (".csv", ".csv.gz")


@click.command("import", short_help="Make a store of other programs' probabilities.")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--output", type=Path, required=True, help="Store (a folder) to write.")
@click.option("--class-names", "--classes", metavar="FILE|A,B,C", help="Classes in their order.")
@click.option("--like", metavar="STORE|RECIPE", help="Classes, and a store's people and images.")
@click.option("--labels", metavar="RECIPE|FOLDER", help="The dataset of the images: people, truth.")
@click.option("--key", help="Which array of an .npz.  [default: nnU-Net's, or the only one]")
@click.option("--axes", type=click.Choice(["CHW", "HWC", "CWH", "WHC"]), help="Order of the axes.")
@click.option("--background", is_flag=True, help="Channel 0 is background: leave it out.")
@click.option("--logits", is_flag=True, help="Values are logits: take their sigmoid.")
@click.option("--size", metavar="HxW", help="Of the images of a CSV, px.")
def import_(
    sources: tuple[str, ...], output: Path, class_names: str | None, like: str | None,
    labels: str | None, key: str | None, axes: str | None, background: bool, logits: bool,
    size: str | None,
) -> None:  # fmt: skip
    """Make a store of SOURCE: .npy and .npz files, folders and globs of them, or a CSV of RLEs.

    One file is one image, named as the image; nnU-Net's .npz are read as they are. Run it again,
    and it does what is missing or has changed.

    \b
    hb store import nnunet_out/ -o stores/theirs --labels my_data
    hb store import 'maps/*.npy' -o stores/maps --classes bones.txt
    hb store import submission.csv -o stores/csv --like stores/first_test
    """
    from handbone_cli.commands.weights import parse_class_names
    from handbone_cli.commands.wiring.importing import known_by, require_same_classes
    from handbone_cli.host.registry import installed
    from handbone_cli.store.importing import ArrayForm

    is_table = any(source.lower().endswith(CSV) for source in sources)
    if is_table and (len(sources) > 1 or key or axes or background or logits):
        raise click.UsageError(
            "a CSV is imported by itself, without --key, --axes, --background, --logits."
        )
    if size and not is_table:
        raise click.UsageError("--size goes with a CSV; arrays know theirs.")
    known = known_by(labels, like, installed())
    names = parse_class_names(class_names) if class_names else known.class_names
    require_same_classes(names, known)
    form = None if is_table else ArrayForm(key, axes, background, logits)
    run_import(sources, output, names, known, form, parse_size(size))


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`2048x1536` as (H, W)."""
    if text is None:
        return None
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)", text)
    if not found:
        raise click.UsageError(f"--size {text}: expected HxW in pixels, for example 2048x1536.")
    return int(found[1]), int(found[2])


def run_import(
    sources: Sequence[str], output: Path, names: Sequence[str], known: Known,
    form: ArrayForm | None, size: tuple[int, int] | None,
) -> None:  # fmt: skip
    """Open what is imported and fill the store with it; name what cannot be read at the end."""
    from dataclasses import asdict

    from handbone_cli.commands.wiring import importing
    from handbone_cli.errors import HandboneError
    from handbone_cli.store.store import StoreWriter
    from handbone_cli.terminal.progress import progress, say

    if form is None:
        images, names = importing.from_csv(Path(sources[0]), names)
        settings: dict[str, Any] = {"model": "imported", "import": {"size": size and list(size)}}
    else:
        paths = importing.find_arrays(sources)
        if not names:
            raise HandboneError(
                "arrays do not name their classes; use --classes, --like or --labels."
            )
        images = importing.from_arrays(paths, len(names), form)
        settings = {"model": "imported", "import": asdict(form)}
    importing.require_known(images, known)
    order = [image.image_id for image in images]
    alone = sum(name not in known.images for name in order)
    if form is None:
        known = importing.of_size(known, images, size)
    with (
        StoreWriter(output, names, settings, order, known.labels) as writer,
        progress("Importing") as report,
    ):
        done, faults = importing.fill(writer, images, known, report)
    if alone:
        say(
            f"{alone} of {len(order)} images count as a person each; --labels or --like says "
            "whose they are."
        )
    if faults:
        rest = f"The other {done} of {len(images)} are in {output}." if done else ""
        raise HandboneError(" ".join([*faults, rest]).rstrip())
    click.echo(f"{output}: {len(images)} images, {len(names)} classes")
