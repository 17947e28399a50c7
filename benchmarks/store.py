"""What the store's rounding, floor and margin cost in Dice; logits against probabilities.

python benchmarks/store.py RUN [RUN ...] [--input val] [--images 8]

Every RUN predicts images with a truth as its recipe says, without views, with `multi_scale`, and
with `flip_rotate`, which it may never have seen: then maps are soft. Three masks of these maps are
scored: float32 p > t, rint(255 p) > 255 t of the whole image, and the store's boxes (floor, core,
margin) > 255 t. t is one half and 0.2, which is level 51 itself: rounded maps begin half a level
above it. `cost` is float32's mean Dice less the store's, `worst` that of the image that loses most;
`file` is the mean of the images' files.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

import cv2
import numpy as np
import torch

from handbone_cli.commands.wiring.datasets import find_samples
from handbone_cli.commands.wiring.prediction import (
    build_predictor,
    load_model,
    mirror_pairs_of_run,
    open_run,
)
from handbone_cli.host.registry import installed
from handbone_cli.masks import PackedMask
from handbone_cli.prediction.predictor import boxed, quantise
from handbone_cli.recipe.schema import ComponentSection
from handbone_cli.scores import dice

THRESHOLDS = (0.5, 0.2)
WAYS = (
    ((), "probabilities"),
    (("multi_scale",), "probabilities"), (("multi_scale",), "logits"),
    (("flip_rotate",), "probabilities"), (("flip_rotate",), "logits"),
)  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--input", default="val", choices=["train", "val", "test"])
    parser.add_argument("--images", type=int, default=8)
    options = parser.parse_args()
    print("| run | views: averaged as | t | float32 | rounded | store | cost | worst | file |")
    print("|---|---|---|---|---|---|---|---|---|")
    for path, (views, average) in itertools.product(options.runs, WAYS):
        scores, size = measure(path, views, average, options)
        named = f"{views[0]}: {average}" if views else "none"
        for place, threshold in enumerate(THRESHOLDS):
            exact, rounded, stored = scores[:, place].mean(axis=0)
            worst = (scores[:, place, 0] - scores[:, place, 2]).max()
            print(f"| {path.name} | {named} | {threshold} | {exact:.6f} | {rounded:.6f} | "
                  f"{stored:.6f} | {exact - stored:+.1e} | {worst:+.1e} | {size / 1e3:.0f} kB |",
                  flush=True)  # fmt: skip


def measure(path, views, average, options):
    """Mean Dice (images, thresholds, 3) of float32, rounded and stored maps, and bytes a file."""
    registry, run = installed(), open_run(path)
    recipe = run.recipe(registry)
    recipe = recipe.model_copy(
        update={"predict": recipe.predict.model_copy(update={"average": average})}
    )
    names = run.facts()["class_names"]
    predictor = build_predictor(
        load_model(run, recipe, registry, names), recipe, registry, names,
        tta=[ComponentSection(name=name) for name in views],
        mirror_pairs=mirror_pairs_of_run(run, recipe, registry),
    )  # fmt: skip
    samples = find_samples(options.input, recipe, registry)[: options.images]
    scored = [score(sample, predictor, len(names)) for sample in samples]
    return np.array([scores for scores, _ in scored]), np.mean([size for _, size in scored])


def score(sample, predictor, classes):
    prepared = predictor.prepare(sample.read_image())
    maps = predictor._maps(prepared.image, torch.float32)  # noqa: SLF001  before they are rounded
    given = np.stack([quantise(plane) for plane in maps]) if prepared.is_whole else maps
    store = boxed(given, prepared)
    height, width = prepared.size
    truth = PackedMask.from_labels(sample.read_labels(), prepared.size, classes)
    found = np.zeros((len(THRESHOLDS), 3, classes))
    for index in range(classes):
        bone = truth.crop(index, (0, height, 0, width)) != 0
        exact = whole(maps[index], prepared)
        rounded, stored = quantise(exact), store.crop(index, (0, height, 0, width))
        for place, threshold in enumerate(THRESHOLDS):
            masks = exact > threshold, rounded > 255 * threshold, stored > 255 * threshold
            counts = [(np.count_nonzero(m & bone), np.count_nonzero(m)) for m in masks]
            common, predicted = np.array(counts).T
            found[place, :, index] = dice(common, predicted, np.count_nonzero(bone))
    with tempfile.TemporaryDirectory(prefix="hb-benchmark-") as folder:
        size, _ = store.save(Path(folder) / "store.npz")
    return found.mean(axis=2), size


def whole(plane, prepared):
    """One class (h, w) in the image's own pixels (H, W), float32, as the store enlarges it."""
    y0, y1, x0, x1 = prepared.crop
    if not prepared.is_whole:
        ratio = plane.shape[0] / (y1 - y0), plane.shape[1] / (x1 - x0)
        shift = [0.5 * each - 0.5 for each in ratio]
        matrix = np.array([[ratio[1], 0, shift[1]], [0, ratio[0], shift[0]]])
        plane = cv2.warpAffine(
            plane, matrix, (x1 - x0, y1 - y0),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
    made = np.zeros(prepared.size, np.float32)
    made[y0:y1, x0:x1] = plane
    return made


if __name__ == "__main__":
    main()
