"""Filling a store: samples through their predictors, one after another, and what it depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.prediction.predictor import Predictor
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.store.store import StoreWriter


def write_all(
    store: StoreWriter, jobs: Iterable[tuple[Sample, Predictor, bool]], total: int
) -> list[str]:
    """Predict so many samples, each with its predictor and whether its person was trained on.

    Returns a sentence for every image that cannot be read.
    """
    from handbone_cli.errors import UnreadableImageError
    from handbone_cli.terminal.progress import progress

    unreadable = []
    try:
        with progress("Predicting") as report:
            for done, (sample, predictor, seen) in enumerate(jobs, start=1):
                try:
                    predict_one(store, predictor, sample, seen=seen)
                except UnreadableImageError as error:
                    unreadable.append(str(error))
                report(done, total)
    finally:
        store.close()
    return unreadable


def predict_one(store: StoreWriter, predictor: Predictor, sample: Sample, *, seen: bool) -> None:
    """Predict one image into the store unless it is there from the same bytes."""
    from handbone_cli.commands.wiring.datasets import content_of
    from handbone_cli.store.store import ImageEntry

    content = content_of(sample)
    if store.has(sample.image_id, content):
        return
    probabilities = predictor.predict(sample.read_image())
    source = str(sample.path.resolve()) if sample.path else None
    size = probabilities.size
    entry = ImageEntry(sample.person, size[0], size[1], source, content, seen)
    store.write(sample.image_id, probabilities, entry)


def describe_settings(recipe: Recipe, weights: str | list[str]) -> dict[str, Any]:
    """Everything that a store's probabilities depend on besides the images.

    `weights` is a digest, or that of every fold where each predicted whom it left out.
    """
    from handbone_cli.recipe.load import to_table

    table = to_table(recipe)
    data = {key: table["data"].get(key) for key in ("clahe", "normalize", "resize", "fold")}
    window = {k: v for k, v in table["predict"].items() if k != "batch_size"}
    rules = table.get("postprocess", [])
    tta = table.get("tta", [])
    return {"model": recipe.name, "weights": weights, "data": data, "predict": window, "tta": tta,
            "postprocess": rules}  # fmt: skip
