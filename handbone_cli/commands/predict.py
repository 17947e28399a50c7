"""`hb predict`: a checkpoint to a store of probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.prediction.predictor import Predictor, Prepared
    from handbone_cli.recipe.schema import ComponentSection, Data, Recipe
    from handbone_cli.runs.directory import RunDirectory


@click.command()
@click.argument("run", type=Path)
@click.option("-i", "--input", "source", required=True, help="Image, folder, glob, or val / test.")
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
    return check(table, registry, {}, "hb predict")


def fill_store(
    directory: RunDirectory, recipe: Recipe, source: str, output: Path, registry: Registry
) -> None:
    """Predict every image that the store does not have yet."""
    from handbone_cli.commands.wiring import dataset_reference
    from handbone_cli.data.sources import SPLITS, dataset_split, from_files
    from handbone_cli.networks.weights import file_digest
    from handbone_cli.store.store import StoreWriter
    from handbone_cli.terminal.progress import progress

    facts = directory.facts()
    own = source in SPLITS
    samples = dataset_split(recipe, registry, source) if own else from_files(source)
    model = load_model(directory, recipe, registry, facts["class_names"])
    predictor = build_predictor(model, recipe, registry, facts["class_names"], tta=recipe.tta)
    settings = describe_settings(recipe, file_digest(weights_file(directory)))
    order = [sample.image_id for sample in samples]
    labels = dataset_reference(recipe) if own else None
    store = StoreWriter(output, facts["class_names"], settings, order, labels)
    trained = set(facts.get("trained_persons", [])) if own else set()
    with progress("Predicting") as report:
        for done, sample in enumerate(samples, start=1):
            predict_one(store, predictor, sample, seen=sample.person in trained)
            report(done, len(samples))
    click.echo(f"{output}: {len(samples)} images")


def predict_one(store: Any, predictor: Predictor, sample: Sample, *, seen: bool) -> None:
    """Predict one image into the store unless it is there from the same bytes."""
    from handbone_cli.files import digest, read_bytes
    from handbone_cli.store.store import ImageEntry

    content = digest(read_bytes(sample.path)) if sample.path else f"drawn:{sample.image_id}"
    if store.has(sample.image_id, content):
        return
    probabilities = predictor.predict(sample.read_image())
    source = str(sample.path) if sample.path else None
    store.write(
        sample.image_id,
        probabilities,
        ImageEntry(sample.person, *probabilities.size, source, content, seen),
    )


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


def weights_file(directory: RunDirectory) -> Path:
    """The best weights of a run; one sentence if there are none yet."""
    from handbone_cli.files import require

    return require(
        directory.best, "a trained run (its best.safetensors appears after a validation)"
    )


def load_model(
    directory: RunDirectory, recipe: Recipe, registry: Registry, class_names: Sequence[str]
) -> Segmenter:
    """The run's best weights in its network, on the device."""
    from handbone_cli.networks.build import build_segmenter, choose_device
    from handbone_cli.training.checkpoint import load_model_weights

    model = build_segmenter(without_pretraining(recipe), registry, len(class_names))
    load_model_weights(weights_file(directory), model, class_names)
    return model.to(choose_device())


def without_pretraining(recipe: Recipe) -> Recipe:
    """The recipe without downloads: a checkpoint brings all weights itself."""
    if not recipe.model.options.get("pretrained"):
        return recipe
    section = type(recipe.model)(**{**recipe.model.model_dump(), "pretrained": False})
    return recipe.model_copy(update={"model": section})


def build_predictor(
    model: Segmenter,
    recipe: Recipe,
    registry: Registry,
    class_names: Sequence[str],
    tta: Sequence[ComponentSection],
) -> Predictor:
    """The predictor of a recipe around a model."""
    from handbone_cli.networks.build import build_tta, choose_device, choose_precision
    from handbone_cli.prediction.predictor import Predictor
    from handbone_cli.prediction.sliding_window import Windows

    asked = recipe.predict
    windows = Windows(asked.window, asked.stride, asked.gaussian, asked.sigma, asked.batch_size)
    device = choose_device()
    return Predictor(
        model=model.eval(),
        classes=len(class_names),
        prepare=lambda grey: prepare_for_network(grey, recipe.data),
        windows=windows if asked.sliding else None,
        tta=build_tta(tta, registry, class_names),
        device=device,
        precision=choose_precision(recipe.train.precision, device),
    )


def prepare_for_network(grey: NDArray[Any], data: Data) -> Prepared:
    """A decoded image as training saw it: preprocessed, warped, normalised."""
    from handbone_cli.data.geometry import between, warp
    from handbone_cli.data.preprocessing import normalise, prepare
    from handbone_cli.prediction.predictor import Prepared

    ready = prepare(grey, data)
    pixels: NDArray[np.uint8] = ready.grey
    if pixels.shape != ready.target:
        pixels = warp(pixels, between(ready.target, pixels.shape), ready.target)
    return Prepared(normalise(pixels, ready.mean, ready.std), ready.size)
