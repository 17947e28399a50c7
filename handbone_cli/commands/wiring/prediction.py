"""A predictor from a run's weights and a recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.prediction.predictor import Predictor, Prepared
    from handbone_cli.recipe.schema import ComponentSection, Data, Recipe
    from handbone_cli.runs.directory import RunDirectory


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
    from handbone_cli.data.geometry import warp
    from handbone_cli.data.preprocessing import normalise, prepare
    from handbone_cli.prediction.predictor import Prepared

    ready = prepare(grey, data)
    pixels: NDArray[np.uint8] = ready.grey
    if pixels.shape != ready.target:
        pixels = warp(pixels, ready.to_grey, ready.target)
    return Prepared(normalise(pixels, ready.mean, ready.std), ready.size)
