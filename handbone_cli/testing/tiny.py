"""A tiny dataset and a recipe for it: four bones on 64 px, learnt in seconds on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from handbone_cli.files import make_folder, write_bytes, write_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

BONES = ("finger-1", "Capitate", "Radius", "Ulna")
"""The bones of a tiny hand; Radius and Ulna overlap."""


def write_tiny_hands(
    root: Path,
    people: int = 6,
    size: int = 64,
    test_people: int = 1,
    class_names: Sequence[str] = BONES,
) -> Path:
    """Write hands of ellipses in the competition's layout, two images a person; gives `root`.

    Every bone is an ellipse in a cell of its own grey, moved by a pixel or two from hand to hand;
    the last two overlap. The test part has labels, under `test_labels`.
    """
    for person in range(people + test_people):
        split, labels = ("train", "train") if person < people else ("test", "test_labels")
        name = f"ID{person + 1:03d}"
        for side in range(2):
            stem = f"image{2 * person + side:04d}"
            image, outlines = draw_tiny_hand(person, side, size, len(class_names))
            annotations = [
                {"label": bone, "points": outline.tolist()}
                for bone, outline in zip(class_names, outlines, strict=True)
            ]
            write_png(root / split / "DCM" / name / f"{stem}.png", image)
            write_json(
                root / labels / "outputs_json" / name / f"{stem}.json", {"annotations": annotations}
            )
    return root


def draw_tiny_hand(
    person: int, side: int, size: int, bones: int
) -> tuple[NDArray[np.uint8], list[NDArray[np.int32]]]:
    """The image (size, size) and the outlines (n, 2) of x, y of one hand."""
    rng = np.random.default_rng((person, side))
    columns = int(np.ceil(np.sqrt(bones)))
    cell = size / columns
    image = np.full((size, size), 20, np.uint8)
    outlines = []
    for bone in range(bones):
        place = np.array([bone % columns + 0.5, bone // columns + 0.5]) * cell
        place[0] -= 0.3 * cell if bone == bones - 1 else 0
        centre = np.rint(place + rng.uniform(-size / 40, size / 40, 2)).astype(int)
        axes = (max(2, round(0.36 * cell)), max(2, round(0.42 * cell)))
        outline = cv2.ellipse2Poly((int(centre[0]), int(centre[1])), axes, 0, 0, 360, 10)
        outlines.append(np.clip(outline, 0, size - 1).astype(np.int32))
        layer = np.zeros_like(image)
        cv2.fillPoly(layer, [outlines[-1]], (40 + 160 * bone // bones,))
        image = np.asarray(cv2.add(image, layer), np.uint8)
    noise = rng.integers(0, 8, image.shape, dtype=np.uint8)
    return np.asarray(cv2.add(image, noise), np.uint8), outlines


def write_png(path: Path, image: NDArray[Any]) -> None:
    """Write a grey or colour image of 8 or 16 bit, in whatever format the suffix names."""
    make_folder(path.parent)
    write_bytes(path, cv2.imencode(path.suffix, image)[1].tobytes())


def tiny_recipe(root: Path, **overrides: Any) -> str:
    """The TOML text of a recipe for tiny hands: nnunet of three stages, 64 px, seconds on a CPU.

    Args:
        root: what `write_tiny_hands` wrote.
        overrides: keys of the recipe; a table is laid over ours: `train={"epochs": 1}`.
    """
    import tomli_w

    recipe: dict[str, Any] = {
        "name": "tiny",
        "seed": 3,
        "data": {
            "dataset": "competition",
            "root": str(root),
            "class_names": list(BONES),
            "folds": 3,
            "fold": 2,
            "clahe": False,
            "patch": 64,
            "workers": 0,
        },
        "model": {"name": "nnunet", "features": [4, 8, 8], "convs_per_stage": 1},
        "loss": {
            "name": "combined",
            "terms": [{"name": "dice", "weight": 1.0}, {"name": "bce", "weight": 10.0}],
        },
        "optimizer": {"lr": 0.02},
        "scheduler": {"name": "none"},
        "train": {
            "epochs": 2,
            "batch_size": 4,
            "patches_per_image": 20,
            "clip_norm": 1.0,
            "precision": "fp32",
        },
        "predict": {"window": 64, "stride": 32},
    }
    return tomli_w.dumps(_laid_over(recipe, overrides))


def _laid_over(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """Tables key by key, other values replaced, tables of another plugin name whole."""
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            same = value.get("name", old.get("name")) == old.get("name")
            merged[key] = _laid_over(old, value) if same else value
        else:
            merged[key] = value
    return merged
