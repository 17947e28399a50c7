"""Out-of-fold prediction: everyone by the model of the fold that left them out, in one store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from handbone_cli.commands.wiring.filling import Filling
    from handbone_cli.host.interfaces import Dataset, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.prediction.predictor import Predictor
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.cross_validation import CrossValidation


def fill_out_of_fold(
    folds: CrossValidation, recipe: Recipe, filling: Filling, registry: Registry
) -> tuple[int, list[str]]:
    """Predict every labelled image that the store does not have yet, as `hb predict -i val` would.

    Returns how many there are, and a sentence for every one that cannot be read.

    Args:
        folds: whose runs have weights.
        recipe: theirs, or one that differs in predict and tta.
        filling: where they go and how.
        registry: of the plugins.
    """
    from handbone_cli.commands.wiring.datasets import dataset_reference
    from handbone_cli.commands.wiring.processes import join_others
    from handbone_cli.data.sources import labelled_samples, open_dataset

    dataset = open_dataset(recipe, registry)
    parts = left_out_by_fold(folds, recipe, dataset)
    order = [sample.image_id for sample in labelled_samples(dataset, recipe)]
    names, settings = dataset.class_names, describe_out_of_fold(folds, recipe)
    filling.refuse_masks(names, settings)
    join_others()
    jobs = predictions(folds, recipe, parts, registry)
    return len(order), filling.fill(names, settings, order, dataset_reference(recipe), jobs)


def left_out_by_fold(
    folds: CrossValidation, recipe: Recipe, dataset: Dataset
) -> list[list[Sample]]:
    """The samples that each fold leaves out, refused if its run has trained on one of the people.

    Raises:
        HandboneError: nobody in a fold; since a run was trained, people were dealt otherwise.
    """
    from handbone_cli.data.sources import fold_parts
    from handbone_cli.errors import HandboneError
    from handbone_cli.runs.cross_validation import of_fold

    parts = []
    for fold in range(recipe.data.folds):
        _, left_out = fold_parts(dataset, of_fold(recipe, fold))
        run = folds.run(fold)
        facts = run.facts() if run.facts_file.exists() else {}
        known = {sample.person for sample in left_out}.intersection(
            facts.get("trained_persons", ())
        )
        if known and (run.last.exists() or run.best.exists()):
            raise HandboneError(
                f"{run.path}: was trained on {min(known)}, whom fold {fold} leaves out now: the "
                "data or data.folds_file is not as it was; bring it back, or start anew with "
                "another -o."
            )
        parts.append(left_out)
    return parts


def predictions(
    folds: CrossValidation, recipe: Recipe, parts: Sequence[Sequence[Sample]], registry: Registry
) -> Iterator[tuple[Sample, Predictor, bool]]:
    """Every sample with its fold's predictor and whether the model has seen the person."""
    from handbone_cli.commands.wiring.prediction import (
        build_predictor,
        load_model,
        mirror_pairs_of_run,
    )

    for run, samples in zip(folds.runs(), parts, strict=True):
        facts = run.facts()
        names, trained = facts["class_names"], set(facts["trained_persons"])
        model = load_model(run, recipe, registry, names)
        pairs = mirror_pairs_of_run(run, recipe, registry)
        predictor = build_predictor(
            model, recipe, registry, names, tta=recipe.tta, mirror_pairs=pairs
        )
        for sample in samples:
            yield sample, predictor, sample.person in trained


def describe_out_of_fold(folds: CrossValidation, recipe: Recipe) -> dict[str, Any]:
    """Everything that the probabilities depend on: as for one run, but the weights of all."""
    from handbone_cli.commands.wiring.filling import describe_settings
    from handbone_cli.commands.wiring.prediction import weights_file
    from handbone_cli.files import digest_json, file_digest

    settings = describe_settings(recipe, [file_digest(weights_file(r)) for r in folds.runs()])
    settings["data"]["fold"] = "all"
    return {**settings, "recipe": digest_json(folds.facts()["recipe"])}
