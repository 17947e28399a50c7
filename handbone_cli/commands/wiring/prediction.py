"""A predictor from a run's weights and a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch

    from handbone_cli.data.preprocessing import PreparedImage
    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.prediction.predictor import Predictor, Prepared
    from handbone_cli.recipe.schema import ComponentSection, Recipe
    from handbone_cli.runs.directory import RunDirectory


def open_run(path: Path) -> RunDirectory:
    """The run of a path, or of installed weights by name; else one sentence on what lies there."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.host.named_weights import named_weights
    from handbone_cli.runs.cross_validation import CrossValidation
    from handbone_cli.runs.directory import RunDirectory
    from handbone_cli.store.store import MANIFEST

    path = named_weights(path)
    run = RunDirectory(path)
    if path.is_file():
        raise HandboneError(f"{path}: a file; expected a run directory (what `hb train` writes).")
    if CrossValidation(path).facts_file.exists():
        raise HandboneError(
            f"{path}: a cross-validation, of which every fold is a run; name one of them, for "
            f"example {CrossValidation(path).run(0).path}."
        )
    if (path / MANIFEST).exists() and not run.facts_file.exists():
        raise HandboneError(
            f"{path}: a store (what `hb predict` wrote); expected a run directory (what `hb train` "
            "writes)."
        )
    return run


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
    from handbone_cli.data.preprocessing import Preprocessing
    from handbone_cli.networks.build import build_segmenter, choose_device
    from handbone_cli.training.checkpoint import load_model_weights

    channels = Preprocessing.of(recipe, registry).channels
    model = build_segmenter(without_pretraining(recipe), registry, len(class_names), channels)
    load_model_weights(weights_file(directory), model, class_names)
    return model.to(choose_device())


def mirror_pairs_of_run(
    directory: RunDirectory, recipe: Recipe, registry: Registry
) -> Sequence[Sequence[str]]:
    """The names that a mirror exchanges, as training noted them: the data may be elsewhere now.

    Runs from before they were noted ask their dataset, if it is here.
    """
    from handbone_cli.commands.wiring.datasets import mirror_pairs_of
    from handbone_cli.data.sources import open_dataset
    from handbone_cli.errors import HandboneError

    noted: Sequence[Sequence[str]] | None = directory.facts().get("mirror_pairs")
    if noted is not None:
        return noted
    try:
        return mirror_pairs_of(open_dataset(recipe, registry))
    except HandboneError:
        return ()


def without_pretraining(recipe: Recipe) -> Recipe:
    """The recipe without downloads and model.weights: a checkpoint brings all weights itself."""
    said = {**recipe.model.model_dump(), "weights": None, "partial": None}
    if said.get("pretrained"):
        said["pretrained"] = False
    return recipe.model_copy(update={"model": type(recipe.model)(**said)})


def build_predictor(
    model: Segmenter,
    recipe: Recipe,
    registry: Registry,
    class_names: Sequence[str],
    *,
    tta: Sequence[ComponentSection],
    mirror_pairs: Sequence[Sequence[str]],
) -> Predictor:
    """The predictor of a recipe around a model.

    `mirror_pairs` are the names that change places in a mirrored view, as the run's dataset says.
    """
    from handbone_cli.data.preprocessing import Preprocessing
    from handbone_cli.networks.build import build_tta, choose_device, choose_precision
    from handbone_cli.prediction.predictor import Predictor
    from handbone_cli.prediction.sliding_window import Windows
    from handbone_cli.prediction.window_batch import WindowBatch
    from handbone_cli.terminal.progress import say

    asked = recipe.predict
    weight = window_weight(asked.weight, asked.window, registry) if asked.weight else None
    windows = Windows(asked.window, asked.stride, asked.gaussian, asked.sigma, weight)
    device = choose_device()
    preprocessing = Preprocessing.of(recipe, registry)
    return Predictor(
        model=model.eval(),
        classes=len(class_names),
        prepare=lambda grey: for_network(preprocessing(grey)),
        windows=windows if asked.sliding else None,
        tta=build_tta(tta, registry, class_names, mirror_pairs),
        average=asked.average,
        batch=WindowBatch(asked.batch_size, say),
        device=device,
        precision=choose_precision(recipe.train.precision, device),
    )


def window_weight(section: ComponentSection, side: int, registry: Registry) -> torch.Tensor:
    """The weight of a plugin for windows of (side, side) px.

    Raises:
        HandboneError: it is of another shape, or not above 0 everywhere.
    """
    import numpy as np
    import torch

    from handbone_cli.errors import HandboneError
    from handbone_cli.host.interfaces import WindowContext

    built = registry.build("windows", section.name, section.options, WindowContext(side))
    made = np.ascontiguousarray(built, np.float32)
    if made.shape != (side, side) or not (np.isfinite(made) & (made > 0)).all():
        raise HandboneError(
            f"predict.weight: window weight '{section.name}' gave an array of {made.shape} with a "
            f"least value of {made.min()}; expected ({side}, {side}), all above 0."
        )
    return torch.from_numpy(made)


def for_network(ready: PreparedImage) -> Prepared:
    """A prepared image as training saw it: warped and normalised."""
    from handbone_cli.data.geometry import warp
    from handbone_cli.data.preprocessing import normalise
    from handbone_cli.prediction.predictor import Prepared

    frame, pixels = ready.frame, ready.grey
    if pixels.shape[:2] != frame.target:
        pixels = warp(pixels, frame.to_reduced, frame.target)
    return Prepared(normalise(pixels, frame.mean, frame.std), frame.size, frame.crop)
