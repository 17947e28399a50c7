"""`hb predict`: a checkpoint to a store of probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.prediction.predictor import Predictor
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.directory import RunDirectory
    from handbone_cli.store.store import StoreWriter


@click.command(short_help="Predict images into a store of probabilities.")
@click.argument("run", type=Path)
@click.option(
    "-i", "--input", "source", required=True, help="Image, folder, glob, or train / val / test."
)
@click.option("-o", "--output", type=Path, required=True, help="Store (a folder) to write.")
@click.option("--sliding/--whole", default=None, help="Windows, or the whole image at once.")
@click.option("--gaussian/--uniform", default=None, help="How windows are weighted.")
@click.option(
    "--tta",
    multiple=True,
    metavar="NAME[:KEY=VALUE]",
    help="A view to average over; `none` for none.",
)
@click.option("--window", type=int, help="Side of a window, px.")
@click.option("--stride", type=int, help="Step between windows, px.")
@click.option("--batch-size", type=int, help="Windows at a time.")
def predict(
    run: Path, source: str, output: Path, sliding: bool | None, gaussian: bool | None,
    tta: tuple[str, ...], window: int | None, stride: int | None, batch_size: int | None,
) -> None:  # fmt: skip
    """Predict with RUN (a run directory) into a store; what is not said is as in its recipe.

    \b
    hb predict runs/first -i val -o stores/first_val --sliding --gaussian --tta hflip
    hb predict runs/first -i films/ -o stores/films
    """
    from handbone_cli.host.registry import installed
    from handbone_cli.runs.directory import RunDirectory

    registry = installed()
    directory = RunDirectory(run)
    recipe = with_options(directory.recipe(registry), registry, {
        "sliding": sliding, "gaussian": gaussian, "window": window, "stride": stride,
        "batch_size": batch_size,
    }, tta)  # fmt: skip
    fill_store(directory, recipe, source, output, registry)


def with_options(
    recipe: Recipe, registry: Registry, predict_keys: dict[str, Any], tta: Sequence[str]
) -> Recipe:
    """The recipe with what the command line says, checked like any other recipe."""
    from handbone_cli.errors import HandboneError, RecipeError
    from handbone_cli.recipe.load import check, parse_override, to_table

    table = to_table(recipe)
    table["predict"] |= {key: value for key, value in predict_keys.items() if value is not None}
    if tta:
        table["tta"] = []
        for text in tta:
            name, *options = text.split(":")
            section: dict[str, Any] = {"name": name}
            for option in options:
                keys, value = parse_override(option)
                section[keys[0]] = value
            table["tta"] += [] if name == "none" else [section]
    try:
        return check(table, registry, {}, "")
    except RecipeError as error:
        raise HandboneError(" ".join(line.removeprefix(": ") for line in error.problems)) from error


def fill_store(
    directory: RunDirectory, recipe: Recipe, source: str, output: Path, registry: Registry
) -> None:
    """Predict every image that the store does not have yet; name unreadable ones at the end."""
    from handbone_cli.commands.wiring.datasets import dataset_reference
    from handbone_cli.commands.wiring.prediction import build_predictor, load_model, weights_file
    from handbone_cli.data.sources import SPLITS, dataset_split, from_files
    from handbone_cli.errors import HandboneError, UnreadableImageError
    from handbone_cli.files import digest_json
    from handbone_cli.networks.weights import file_digest
    from handbone_cli.store.store import StoreWriter
    from handbone_cli.terminal.progress import progress

    names = directory.facts()["class_names"]
    own = source in SPLITS
    samples = dataset_split(recipe, registry, source) if own else from_files(source)
    model = load_model(directory, recipe, registry, names)
    predictor = build_predictor(model, recipe, registry, names, tta=recipe.tta)
    settings = {
        **describe_settings(recipe, file_digest(weights_file(directory))),
        "recipe": digest_json(directory.facts()["recipe"]),
    }
    order = [sample.image_id for sample in samples]
    store = StoreWriter(output, names, settings, order, dataset_reference(recipe) if own else None)
    trained = set(directory.facts()["trained_persons"]) if own else set()
    unreadable = []
    with progress("Predicting") as report:
        for done, sample in enumerate(samples, start=1):
            try:
                predict_one(store, predictor, sample, seen=sample.person in trained)
            except UnreadableImageError as error:
                unreadable.append(str(error))
            report(done, len(samples))
    if unreadable:
        rest = f"The other {len(samples) - len(unreadable)} of {len(samples)} are in {output}"
        raise HandboneError(f"{' '.join(unreadable)} {rest}.")
    click.echo(f"{output}: {len(samples)} images")


def predict_one(store: StoreWriter, predictor: Predictor, sample: Sample, *, seen: bool) -> None:
    """Predict one image into the store unless it is there from the same bytes."""
    from handbone_cli.files import digest, read_bytes
    from handbone_cli.store.store import ImageEntry

    content = digest(read_bytes(sample.path)) if sample.path else f"drawn:{sample.image_id}"
    if store.has(sample.image_id, content):
        return
    probabilities = predictor.predict(sample.read_image())
    source = str(sample.path.resolve()) if sample.path else None
    size = probabilities.size
    entry = ImageEntry(sample.person, size[0], size[1], source, content, seen)
    store.write(sample.image_id, probabilities, entry)


def describe_settings(recipe: Recipe, weights: str) -> dict[str, Any]:
    """Everything that a store's probabilities depend on besides the images."""
    from handbone_cli.recipe.load import to_table

    table = to_table(recipe)
    data = {key: table["data"].get(key) for key in ("clahe", "normalize", "resize", "fold")}
    window = {k: v for k, v in table["predict"].items() if k != "batch_size"}
    rules = table.get("postprocess", [])
    tta = table.get("tta", [])
    return {"model": recipe.name, "weights": weights, "data": data, "predict": window, "tta": tta,
            "postprocess": rules}  # fmt: skip
