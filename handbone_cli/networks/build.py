"""From a recipe to a network and its loss, whatever plugins they come from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import LossContext, ModelContext, TtaContext
from handbone_cli.networks.views import exchange_sides, refuse_twice, views_of
from handbone_cli.networks.wrapper import Segmenter
from handbone_cli.ranks import rank_count

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Loss, TtaTransform
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import ComponentSection, Recipe


def build_segmenter(
    recipe: Recipe, registry: Registry, classes: int, in_channels: int = 1
) -> Segmenter:
    """The recipe's model in its wrapper, initialised from the recipe's seed alone."""
    component = registry.get("models", recipe.model.name)
    context = ModelContext(classes, in_channels, (recipe.data.patch, recipe.data.patch))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        core = registry.build("models", recipe.model.name, recipe.model.options, context)
    if not isinstance(core, nn.Module):
        raise HandboneError(
            f"model '{component.name}' of {component.distribution} built a "
            f"{type(core).__name__}; expected a torch.nn.Module."
        )
    model = Segmenter(core, classes, component.divisor)
    if recipe.data.patch < model.minimum:
        raise HandboneError(
            f"data.patch = {recipe.data.patch}: model '{component.name}' needs at least "
            f"{model.minimum} px a side; use a larger patch, or a model of fewer stages."
        )
    return model


def require_batch(recipe: Recipe, model: Segmenter, patches: int) -> None:
    """One sentence if a training step would see fewer images than the model normalises over.

    Args:
        recipe: says the batch size.
        model: says the fewest.
        patches: of an epoch; an epoch of fewer than a batch is one smaller batch.

    Raises:
        HandboneError: too few patches at a time, or a batch that several devices cannot share.
    """
    whole, devices = recipe.train.batch_size, rank_count()
    require_shares(recipe, devices)
    size = min(whole, patches) // (1 if recipe.train.sync_batchnorm else devices)
    if size >= model.minimum_batch:
        return
    key = "batch_size" if whole // devices < model.minimum_batch else "patches_per_image"
    here = f" on each of {devices} devices" if devices > 1 else ""
    raise HandboneError(
        f"train.{key} = {getattr(recipe.train, key)}: a step would see {size} of the at least "
        f"{model.minimum_batch} patches that model '{recipe.model.name}' normalises over{here}; "
        "raise it."
    )


def require_shares(recipe: Recipe, devices: int) -> None:
    """One sentence if several devices cannot share a batch evenly."""
    whole = recipe.train.batch_size
    if whole % devices:
        raise HandboneError(
            f"train.batch_size = {whole}: {devices} devices cannot share it evenly; set it to "
            f"{math.ceil(whole / devices) * devices}, or take another number of devices."
        )


def build_loss(
    recipe: Recipe,
    registry: Registry,
    class_names: Sequence[str],
    overlaps: Callable[[], NDArray[np.float64]] | None = None,
) -> Loss:
    """The recipe's loss; combinations build their parts through the same registry.

    `overlaps` is for the losses that ask how much any two classes share, (C, C).
    """

    def build(name: str, options: Mapping[str, Any]) -> Loss:
        loss: Loss = registry.build("losses", name, options, context)
        return loss

    context = LossContext(tuple(class_names), build, overlaps)
    return build(recipe.loss.name, recipe.loss.options)


def build_tta(
    sections: Sequence[ComponentSection],
    registry: Registry,
    class_names: Sequence[str],
    mirror_pairs: Sequence[Sequence[str]] = (),
) -> list[TtaTransform]:
    """The views to average over beside the image itself; a set becomes the views that it names.

    Args:
        sections: of the recipe.
        registry: where they are registered.
        class_names: C names.
        mirror_pairs: names that change places in a mirror; mirrored views exchange their maps.

    Raises:
        HandboneError: a view that is there twice, or no view; one that does not say whether it
            mirrors where that matters.
    """
    context = TtaContext(tuple(class_names))
    views: list[TtaTransform] = []
    makers: dict[object, str] = {}
    for section in sections:
        component = registry.get("tta", section.name)
        built = registry.build("tta", section.name, section.options, context)
        for view in views_of(built, component):
            refuse_twice(view, section.name, makers)
            views.append(exchange_sides(view, component, class_names, mirror_pairs))
    return views


def choose_device() -> torch.device:
    """The first GPU, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def choose_precision(wanted: str, device: torch.device) -> torch.dtype:
    """The autocast type: `auto` is bf16 where the device multiplies it, else fp16 or fp32.

    A CPU with AMX trains the quickstart network 1.5 times as fast in bf16 as in fp32.
    """
    named = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    if wanted != "auto":
        return named[wanted]
    if device.type != "cuda":
        has_amx = getattr(torch.cpu, "_is_amx_tile_supported", bool)()
        return torch.bfloat16 if has_amx else torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """The autocast block of a forward pass; off for fp32."""
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not torch.float32)
