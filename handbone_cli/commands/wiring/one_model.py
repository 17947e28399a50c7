"""A run's images into a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from handbone_cli.commands.wiring.filling import Filling
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe


def fill_one(
    path: Path,
    source: str,
    filling: Filling,
    registry: Registry,
    said: Callable[[Recipe], Recipe],
) -> tuple[int, list[str]]:
    """Predict every image that the store does not have yet, with the run of a path.

    `said` is what the command line makes of its recipe. Returns how many there are, and a sentence
    for every one that cannot be read.
    """
    from handbone_cli.commands.wiring.datasets import dataset_reference, find_samples
    from handbone_cli.commands.wiring.filling import describe_settings
    from handbone_cli.commands.wiring.prediction import (
        build_predictor,
        load_model,
        mirror_pairs_of_run,
        open_run,
        weights_file,
    )
    from handbone_cli.commands.wiring.processes import join_others
    from handbone_cli.data.sources import SPLITS
    from handbone_cli.files import digest_json, file_digest

    directory = open_run(path)
    recipe = said(directory.recipe(registry))
    names = directory.facts()["class_names"]
    own = source in SPLITS
    samples = find_samples(source, recipe, registry)
    settings = {
        **describe_settings(recipe, file_digest(weights_file(directory))),
        "recipe": digest_json(directory.facts()["recipe"]),
    }
    filling.refuse_masks(names, settings)
    join_others()
    model = load_model(directory, recipe, registry, names)
    pairs = mirror_pairs_of_run(directory, recipe, registry)
    predictor = build_predictor(model, recipe, registry, names, tta=recipe.tta, mirror_pairs=pairs)
    order = [sample.image_id for sample in samples]
    trained = set(directory.facts()["trained_persons"]) if own else set()
    jobs = ((sample, predictor, sample.person in trained) for sample in samples)
    labels = dataset_reference(recipe) if own else None
    return len(order), filling.fill(names, settings, order, labels, jobs)
