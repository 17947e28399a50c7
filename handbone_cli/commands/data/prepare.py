"""`hb data prepare`: everything of a dataset that can be done once, done before a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.recipe.schema import Recipe


@click.command(short_help="Fill the cache of a recipe, or convert the images of a dataset.")
@click.argument("recipe")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--clear", is_flag=True, help="Empty the cache instead, whatever recipes filled it.")
@click.option("--images", type=Path, metavar="DIR", help="Write a copy of the dataset to DIR.")
@click.option(
    "--format",
    "kind",
    type=click.Choice(["png", "jpeg"]),
    default="png",
    show_default=True,
    help="Of that copy.",
)
@click.option(
    "--quality", type=click.IntRange(1, 100), default=95, show_default=True, help="Of JPEG."
)
@click.option("--bake-clahe", is_flag=True, help="Put the recipe's CLAHE into the copy.")
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one a core, 8]")
def prepare(
    recipe: str,
    overrides: tuple[str, ...],
    clear: bool,
    images: Path | None,
    kind: Literal["png", "jpeg"],
    quality: int,
    bake_clahe: bool,
    workers: int | None,
) -> None:
    """Decode, equalise and reduce every image of RECIPE once, and keep the result.

    The first epoch of a run does the same on its way; afterwards any number of runs and worker
    processes share what is kept (data.cache). It can be stopped and run again at any time.

    With --images a copy of the dataset is written instead. JPEG made the winners' loading fast;
    with the cache nothing is decoded twice, so that PNG costs no more. JPEG is worth its loss where
    the disk is small, or for the loader dali, which decodes it on the GPU.

    \b
    hb data prepare nnunet --set data.root=my_data
    hb data prepare nnunet --set data.root=my_data --images my_data_jpeg --format jpeg
    """
    from handbone_cli.data.processes import default_workers
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe

    if images is None and (bake_clahe or kind != "png" or quality != 95):
        raise click.UsageError("--format, --quality and --bake-clahe go with --images DIR.")
    resolved = load_recipe(recipe, installed(), overrides)
    count = default_workers() if workers is None else workers
    if clear:
        empty_cache(resolved)
    elif images is not None:
        convert(resolved, images, kind, quality, bake_clahe, count)
    else:
        fill_cache(resolved, count)


def all_of(recipe: Recipe) -> list[Sample]:
    """Every image of a recipe's dataset."""
    from handbone_cli.commands.wiring.datasets import all_samples
    from handbone_cli.data.sources import open_dataset
    from handbone_cli.host.registry import installed

    return all_samples(open_dataset(recipe, installed()))


def fill_cache(recipe: Recipe, workers: int) -> None:
    """Prepare every image that is not kept yet."""
    from handbone_cli.commands.wiring.loading import cache_of
    from handbone_cli.data.prepared import KeepInCache, PreparedImages
    from handbone_cli.data.processes import map_in_processes
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.progress import progress, say

    folder = cache_of(recipe)
    samples = all_of(recipe)
    images = PreparedImages.of(recipe, installed(), say)
    made, faults = 0, []
    with progress("Preparing") as report:
        results = map_in_processes(KeepInCache(images), samples, workers)
        for done, (sample, result) in enumerate(zip(samples, results, strict=True)):
            made += result.made
            if result.fault:
                faults.append(f"{sample.image_id}: {result.fault}")
            report(done + 1, len(samples), f"{made} new")
    for fault in faults:
        say(fault)
    kept = len(samples) - made - len(faults)
    size = folder_size(folder) / 2**20
    click.echo(f"{folder}: {made} images prepared, {kept} were there; {size:.1f} MiB")
    if faults:
        raise click.exceptions.Exit(1)


def convert(
    recipe: Recipe,
    folder: Path,
    kind: Literal["png", "jpeg"],
    quality: int,
    bake_clahe: bool,
    workers: int,
) -> None:
    """Write a copy of the dataset whose images have another form."""
    from handbone_cli.data.conversion import SETTINGS, Conversion, Form, copy_labels, orphans
    from handbone_cli.data.processes import map_in_processes
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import claim_folder
    from handbone_cli.terminal.progress import progress, say

    root = recipe.data.root
    samples = all_of(recipe)
    if root is None or any(sample.path is None for sample in samples):
        raise HandboneError(f"dataset '{recipe.data.dataset}' has no image files to convert.")
    if bake_clahe and not recipe.data.clahe:
        raise HandboneError("--bake-clahe: the recipe says data.clahe = false; give it a table.")
    form = Form(kind, quality, (recipe.data.clahe or None) if bake_clahe else None)
    inside = root.resolve() in (folder.resolve(), *folder.resolve().parents)
    if inside or folder.resolve() in root.resolve().parents:
        raise HandboneError(
            f"--images {folder}: inside the data or around it; choose another folder."
        )
    claim_folder(folder, SETTINGS, form.settings())
    conversion, results = Conversion(root, folder, form), []
    with progress("Converting") as report:
        for result in map_in_processes(conversion, samples, workers):
            results.append(result)
            report(len(results), len(samples))
    labels = list(copy_labels(root, folder, samples))
    for result in results:
        if result.fault:
            say(result.fault)
    for path in orphans(folder, [*labels, *map(conversion.target, samples)]):
        say(f"{path}: its source is gone; delete it, or train on what is no longer there.")
    before = sum(result.bytes_before for result in results)
    after = sum(result.bytes_after for result in results)
    errors = [result.error for result in results if result.error is not None]
    loss = f"; RMS error {max(errors):.2f} grey levels at most" if errors and kind == "jpeg" else ""
    faults = sum(result.fault is not None for result in results)
    click.echo(
        f"{folder}: {len(results) - faults} images, {before / 2**20:.1f} MiB became "
        f"{after / 2**20:.1f}, {len(labels)} other files copied{loss}"
    )
    hint = " --set data.clahe=false" if bake_clahe else ""
    click.echo(f"train on it with --set data.root={folder}{hint}")
    if faults:
        raise click.exceptions.Exit(1)


def empty_cache(recipe: Recipe) -> None:
    """Delete what the cache holds."""
    from handbone_cli.commands.wiring.loading import cache_of
    from handbone_cli.data.cache import ArrayCache

    folder = cache_of(recipe)
    parts: Sequence[str] = ("images", "labels", "files")
    freed = sum(ArrayCache(folder / part).clear() for part in parts)
    click.echo(f"{folder}: {freed / 2**20:.1f} MiB freed")


def folder_size(folder: Path) -> int:
    """Bytes of everything in it."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
