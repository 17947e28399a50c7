"""What every component of a kind must do, checked in one call; AssertionError otherwise."""

from __future__ import annotations

import copy
from multiprocessing.reduction import ForkingPickler
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from handbone_cli.masks import PackedMask, plane_count
from handbone_cli.networks.wrapper import Segmenter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from handbone_cli.host.interfaces import (
        Dataset,
        Labels,
        Loss,
        ModelContext,
        PostProcessor,
        Preprocessor,
        Sample,
        TtaTransform,
    )

SURE = 20.0
"""Logits of a model that has no doubt."""


def check_model(
    build: Callable[[Any, ModelContext], nn.Module],
    options: Any,
    context: ModelContext,
    *,
    divisor: int = 1,
    sizes: Sequence[tuple[int, int]] = ((33, 47),),
) -> None:
    """A model gives logits of the right shape, learns in all its parts, and repeats itself.

    Args:
        build: the factory that the plugin registers.
        options: what it is built with.
        context: C, input channels and patch.
        divisor: what the plugin registers.
        sizes: (h, w) that it must take inside handbone's wrapper; odd ones are the point.
    """
    core = build(options, context)
    _require(isinstance(core, nn.Module), f"build gave a {type(core).__name__}, no nn.Module")
    model = Segmenter(core, context.classes, divisor)
    images = torch.rand(2, context.in_channels, *context.patch)
    _require_gradients(model, images, context.classes)
    model.eval()
    with torch.inference_mode():
        for size in (context.patch, *sizes):
            view = torch.rand(1, context.in_channels, *size)
            first = model(view)
            _require(isinstance(first, torch.Tensor), "in eval mode a model gives one tensor")
            _require_shape(first, (1, context.classes, *size))
            _require(torch.equal(first, model(view)), "in eval mode the same image gave two maps")


def _require_gradients(model: Segmenter, images: torch.Tensor, classes: int) -> None:
    model.train()
    output = model(images)
    outputs = output if isinstance(output, list) else [output]
    _require_shape(outputs[0], (len(images), classes, *images.shape[-2:]))
    for each in outputs[1:]:  # at a resolution of their own
        _require_shape(each, (len(images), classes, *each.shape[-2:]))
    weights = model.output_weights
    _require(
        weights is None or len(weights) == len(outputs),
        f"output_weights has {len(weights or ())} entries for {len(outputs)} outputs in training",
    )
    torch.stack([each.float().square().mean() for each in outputs]).sum().backward()  # type: ignore[no-untyped-call]
    idle = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    _require(not idle, f"no gradient reaches {', '.join(idle[:5])}")


def check_loss(loss: Loss, classes: int = 3, size: tuple[int, int] = (8, 10)) -> None:
    """A loss is one finite number with gradients, and lowest for the right answer.

    Tried with sure, unsure and wrong logits, with labels of some bones and of none.
    """
    rng = np.random.default_rng(5)
    labels = torch.from_numpy(
        rng.integers(0, 256, (2, *size, plane_count(classes))).astype(np.uint8)
    )
    bits = np.unpackbits(labels.numpy(), axis=-1, count=classes, bitorder="little")
    truth = torch.from_numpy(bits).permute(0, 3, 1, 2).float()
    right = (2 * truth - 1) * SURE
    values = {}
    cases = {"right": right, "unsure": torch.zeros_like(right), "wrong": -right}
    for name, logits in cases.items():
        values[name] = _finite_loss(loss, logits, labels, name)
    _finite_loss(loss, right, torch.zeros_like(labels), "no bone anywhere")
    ordered = values["right"] < values["unsure"] < values["wrong"]
    _require(ordered, f"right, unsure and wrong logits must rise in this order, got {values}")


def _finite_loss(loss: Loss, logits: torch.Tensor, labels: torch.Tensor, what: str) -> float:
    logits = logits.clone().requires_grad_()
    value = loss(logits, labels)
    _require_shape(value, ())
    value.backward()  # type: ignore[no-untyped-call]
    _require(bool(torch.isfinite(value)), f"the loss is {float(value.detach())} for {what}")
    _require(logits.grad is not None, f"no gradient reaches the logits for {what}")
    finite = logits.grad is not None and bool(torch.isfinite(logits.grad).all())
    _require(finite, f"a gradient is not finite for {what}")
    return float(value.detach())


def check_tta(
    transform: TtaTransform,
    *,
    exact: bool = True,
    sizes: Sequence[tuple[int, int]] = ((6, 9), (7, 4)),
) -> None:
    """A view can be taken back: maps come back in the image's size and, if exact, unchanged."""
    for size in sizes:
        images = torch.rand(2, 3, *size)
        before = images.clone()
        back = transform.restore(transform.augment(images), size)
        _require(torch.equal(images, before), "the view changed the image it was given")
        _require_shape(back, (2, 3, *size))
        _require(back.dtype == images.dtype, f"the maps came back as {back.dtype}")
        if exact:
            _require(torch.equal(back, images), f"{size}: maps do not come back as they went")


def check_postprocessor(rule: PostProcessor, class_name: str = "Radius") -> None:
    """A rule gives booleans of the mask's shape, the same every time, and leaves its argument."""
    rng = np.random.default_rng(5)
    for density, size in ((0.0, (5, 7)), (0.5, (40, 30)), (1.0, (6, 6))):
        mask = rng.random(size) < density
        before = copy.deepcopy(mask)
        result = rule(mask, class_name)
        _require(np.array_equal(mask, before), "the rule changed the mask it was given")
        _require(result.shape == mask.shape, f"{mask.shape} became {result.shape}")
        _require(result.dtype == np.bool_, f"the mask came back as {result.dtype}")
        _require(np.array_equal(result, rule(mask, class_name)), "one mask gave two answers")


def check_dataset(dataset: Dataset, most: int = 8) -> None:
    """A dataset names its samples once and for all, and their images and labels can be used.

    Images and labels are read here and again after the way to a worker process.

    Args:
        dataset: with at least one image.
        most: so many samples of each split are read.
    """
    names = dataset.class_names
    _require(bool(names) and isinstance(names, tuple), f"class_names is {names!r}, no tuple")
    _require(len(set(names)) == len(names), "a class is named twice")
    splits = {split: list(dataset.samples(split)) for split in ("train", "test")}
    every = [sample for samples in splits.values() for sample in samples]
    _require(bool(every), "the dataset has no image")
    ids = [sample.image_id for sample in every]
    _require(len(set(ids)) == len(ids), "two images have one image_id")
    for split, samples in splits.items():
        again = [sample.image_id for sample in dataset.samples(split)]
        _require(again == [s.image_id for s in samples], f"'{split}' came in another order")
        for sample in samples:
            _require_facts(sample)
        for sample in samples[:most]:
            _require_content(sample, len(names))
    for problem in dataset.problems():
        sentence = isinstance(problem, str) and bool(problem) and "\n" not in problem
        _require(sentence, f"a problem is one line, not {problem!r}")


def _require_facts(sample: Sample) -> None:
    name = sample.image_id
    whole = bool(name) and name not in {".", ".."} and not set(name) & set("/\\\0\n")
    _require(whole, f"the image_id {name!r} cannot be a file's name")
    _require(bool(sample.person), f"{name}: no person")
    _require(sample.side in {None, "left", "right"}, f"{name}: the side is {sample.side!r}")
    if sample.spacing is not None:
        right = len(sample.spacing) == 2 and all(0 < mm < float("inf") for mm in sample.spacing)
        _require(right, f"{name}: the spacing is {sample.spacing!r}")


def _require_content(sample: Sample, classes: int) -> None:
    name, image = sample.image_id, sample.read_image()
    _require(image.ndim == 2 and image.size > 0, f"{name}: the image's shape is {image.shape}")
    _require(image.dtype.name in {"uint8", "uint16"}, f"{name}: the image's type is {image.dtype}")
    sent = _send(sample)
    _require(np.array_equal(image, sent.read_image()), f"{name}: a worker reads another image")
    if sample.read_labels is None or sent.read_labels is None:
        return
    labels, again = sample.read_labels(), sent.read_labels()
    _require_labels(name, labels, image.shape, classes)
    size = (image.shape[0], image.shape[1])
    first, second = (PackedMask.from_labels(each, size, classes) for each in (labels, again))
    _require(np.array_equal(first.planes, second.planes), f"{name}: a worker reads other labels")


def _send(sample: Sample) -> Sample:
    """A sample as a worker process gets it."""
    try:
        sent: Sample = ForkingPickler.loads(bytes(ForkingPickler.dumps(sample)))
    except Exception as error:  # what cannot be sent says so in many ways
        raise AssertionError(f"{sample.image_id}: cannot be sent to a worker: {error}") from error
    return sent


def _require_labels(name: str, labels: Labels, size: tuple[int, ...], classes: int) -> None:
    if isinstance(labels, PackedMask):
        _require(labels.size == size, f"{name}: masks of {labels.size} for an image of {size}")
        _require(labels.classes == classes, f"{name}: masks of {labels.classes} classes")
        return
    for index, outlines in labels.items():
        _require(0 <= index < classes, f"{name}: there is no class {index}")
        for outline in outlines:
            shape, kind = outline.shape, outline.dtype
            _require(
                len(shape) == 2 and shape[0] >= 3 and shape[1] == 2 and kind == np.float32,
                f"{name}: an outline is (n, 2) float32 with n > 2, not {shape} {kind}",
            )
            _require(bool(np.isfinite(outline).all()), f"{name}: an outline is not finite")


def check_preprocessor(step: Preprocessor) -> None:
    """A preprocessor cuts a box, makes the channels it says, resamples nothing, repeats itself.

    Nothing may be resampled: what a box of h' x w' shows must have h' x w' pixels.
    """
    rng = np.random.default_rng(6)
    for size in ((96, 64), (41, 73)):
        image = rng.integers(0, 256, size, np.uint8)
        before = image.copy()
        made, (y0, y1, x0, x1) = step(image)
        _require(np.array_equal(image, before), "the preprocessor changed the image it was given")
        _require(made.dtype == np.uint8, f"the image came back as {made.dtype}, not uint8")
        _require(
            0 <= y0 < y1 <= size[0] and 0 <= x0 < x1 <= size[1],
            f"the box {(y0, y1, x0, x1)} is not inside an image of {size}",
        )
        _require(
            made.shape[:2] == (y1 - y0, x1 - x0),
            f"the box {(y0, y1, x0, x1)} came with {made.shape[:2]} pixels",
        )
        channels = 1 if made.ndim == 2 else made.shape[2]
        _require(
            channels == step.channels(1), f"it says {step.channels(1)} channels, made {channels}"
        )
        _require(np.array_equal(made, step(image)[0]), "one image gave two results")


def _require_shape(tensor: torch.Tensor, shape: tuple[int, ...]) -> None:
    _require(tuple(tensor.shape) == shape, f"expected the shape {shape}, got {tuple(tensor.shape)}")


def _require(condition: bool, sentence: str) -> None:  # noqa: FBT001
    if not condition:
        raise AssertionError(sentence)
