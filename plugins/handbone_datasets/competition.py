"""The dataset `competition`: the layout of the hand-bone competition, read and checked."""

from __future__ import annotations

import functools
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field

from handbone_cli import HAND_BONES, HandboneError, Options, Sample, read_grey, read_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli import DatasetContext

SUFFIXES = (".png", ".jpg", ".jpeg")
LABELS = {"train": "train/outputs_json", "test": "test_labels/outputs_json"}


class CompetitionOptions(Options):
    """Options of the dataset `competition`."""

    class_names: tuple[str, ...] = Field(HAND_BONES, description="bones, in the order of the CSV")


class CompetitionDataset:
    """Images under `train/DCM/ID/` and `test/DCM/ID/`, outlines under `train/outputs_json/ID/`.

    Outlines of test images, where there are any, lie under `test_labels/outputs_json/ID/`.
    """

    def __init__(self, root: Path, class_names: tuple[str, ...]) -> None:
        self.root = root
        self.class_names = class_names
        if not (root / "train" / "DCM").is_dir() and not (root / "test" / "DCM").is_dir():
            raise HandboneError(
                f"{root}: not the competition's layout; expected train/DCM/ID/*.png or "
                "test/DCM/ID/*.png in it (data.root)."
            )

    def samples(self, split: str) -> Sequence[Sample]:
        """The images of 'train' or 'test', sorted by person, then name."""
        labels = _by_stem(self.root / LABELS[split], (".json",))
        images = _by_stem(self.root / split / "DCM", SUFFIXES)
        return [
            Sample(
                image_id=name,
                person=image.parent.name,
                read_image=functools.partial(read_grey, image),
                read_labels=(
                    functools.partial(read_outlines, labels[name], self.class_names)
                    if name in labels
                    else None
                ),
                path=image,
                labels_path=labels.get(name),
            )
            for name, image in images.items()
        ]

    def problems(self) -> Sequence[str]:
        """Images without labels, labels without images, unknown, missing or outlying bones."""
        return list(self._problems())

    def _problems(self) -> Iterator[str]:
        for split, folder in LABELS.items():
            labels = _by_stem(self.root / folder, (".json",))
            samples = {sample.image_id: sample for sample in self.samples(split)}
            for name in sorted(samples.keys() - labels.keys()) if labels else ():
                yield f"{samples[name].path}: the image has no labels."
            for name in sorted(labels.keys() - samples.keys()):
                yield f"{labels[name]}: the labels have no image."
            for name in sorted(samples.keys() & labels.keys()):
                yield from _label_problems(labels[name], samples[name], self.class_names)


def read_outlines(path: Path, class_names: Sequence[str]) -> dict[int, list[NDArray[np.float32]]]:
    """Outlines of one JSON by class index, (n, 2) x, y in pixel indices; unknown bones left out.

    Raises:
        HandboneError: the file is no JSON, or not of the competition's form.
    """
    index = {name: place for place, name in enumerate(class_names)}
    outlines: dict[int, list[NDArray[np.float32]]] = {}
    for label, points in _annotations(path):
        if label in index:
            outlines.setdefault(index[label], []).append(points)
    return outlines


def _annotations(path: Path) -> Iterator[tuple[str, NDArray[np.float32]]]:
    content = read_json(path)
    try:
        entries = [(str(entry["label"]), entry["points"]) for entry in content["annotations"]]
    except (KeyError, TypeError) as error:
        raise HandboneError(
            f'{path}: expected {{"annotations": [{{"label": ..., "points": [[x, y], ...]}}]}}.'
        ) from error
    for label, points in entries:
        yield label, _points(path, label, points)


def _points(path: Path, label: str, points: Any) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore"):  # an infinite coordinate is told of below
            array = np.asarray(points, np.float32)
    except (TypeError, ValueError):
        array = np.full((3, 2), np.nan, np.float32)
    if array.ndim != 2 or array.shape[1:] != (2,) or len(array) < 3:
        raise HandboneError(f"{path}: '{label}': expected at least three points [x, y].")
    if not np.isfinite(array).all():
        raise HandboneError(f"{path}: '{label}': a coordinate is not a finite number.")
    return array


def _label_problems(path: Path, sample: Sample, class_names: Sequence[str]) -> Iterator[str]:
    try:
        annotations = list(_annotations(path))
        height, width = sample.read_image().shape
    except HandboneError as error:
        yield str(error)
        return
    counts = Counter(label for label, _ in annotations)
    for name in sorted(counts.keys() - set(class_names)):
        yield f"{path}: '{name}' is no known bone."
    missing = [name for name in class_names if name not in counts]
    if missing:
        yield f"{path}: missing {', '.join(missing)}."
    for name, count in counts.items():
        if count > 1:
            yield f"{path}: '{name}' is there {count} times."
    for name, points in annotations:
        low, high = points.min(axis=0), points.max(axis=0)
        if (low < -0.5).any() or high[0] > width - 0.5 or high[1] > height - 0.5:
            yield f"{path}: '{name}' leaves the image ({width} x {height})."


def _by_stem(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Files in person folders by name without suffix, sorted; a name given twice is an error."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*/*")) if folder.is_dir() else ():
        if path.suffix.lower() not in suffixes:
            continue
        if path.stem in found:
            raise HandboneError(f"{path}: the same name as {found[path.stem]}; names must differ.")
        found[path.stem] = path
    return found


def build(options: CompetitionOptions, context: DatasetContext) -> CompetitionDataset:
    """Open the folder that `data.root` names."""
    if context.root is None:
        raise HandboneError(
            "data.root is missing: the folder with train/DCM in it; name it with "
            "--set data.root=FOLDER."
        )
    if not context.root.is_dir():
        raise HandboneError(f"{context.root}: no such folder (data.root).")
    return CompetitionDataset(context.root, options.class_names)
