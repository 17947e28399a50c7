"""The dataset `labelme`: images with labelme's JSON beside them, or inside it."""

from __future__ import annotations

import base64
import binascii
import functools
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli import HandboneError, PackedMask, Sample, decode_grey, read_grey, read_json
from handbone_datasets.image_files import (
    SPLITS,
    SUFFIXES,
    FileOptions,
    ImageFile,
    files_key,
    list_images,
    name_images,
    opened_root,
    people_in_both,
    sample_problems,
    split_folders,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli import DatasetContext

OUTLINED = ("polygon", "rectangle", "circle", "oriented_rectangle")
"""Types of shapes that have an inside, beside `mask`."""


class LabelmeOptions(FileOptions):
    """Options of the dataset `labelme`."""


@dataclass(frozen=True)
class LabelFile:
    """What is known of one JSON.

    Attributes:
        path: where it is.
        image: its image's file; the JSON itself where the image is inside.
        labels: how often each label is there, on shapes that have an inside.
        others: types of shapes that have none.
        size: (H, W) that it says its image has.
    """

    path: Path
    image: Path | None
    labels: Counter[str]
    others: tuple[str, ...]
    size: tuple[int, int] | None


class LabelmeDataset:
    """A folder of images with a JSON of the same name or with `imagePath`, split by folder or not.

    Shapes of one label are united; a JSON without shapes says that there is nothing.
    """

    def __init__(self, root: Path, options: LabelmeOptions) -> None:
        self._options = options
        self._faults: list[str] = []
        folders = split_folders(root, options.train, options.test)
        self._labels: dict[Path, LabelFile] = {}
        listed: dict[str, list[tuple[Path, str]]] = {}
        for split, tops in folders.items():
            listed[split] = [pair for top in tops for pair in self._list_folder(top)]
        self._images = name_images(listed, options)
        if not any(self._images.values()):
            raise HandboneError(f"{root}: no image in it and no labelme JSON (data.root).")
        found = {label for file in self._labels.values() for label in file.labels}
        self.class_names = options.class_names or tuple(sorted(found))
        if not self.class_names:
            raise HandboneError(
                f"{root}: no shape in any labelme JSON; expected NAME.json beside NAME.png, or "
                "name the classes (data.class_names)."
            )

    def samples(self, split: str) -> Sequence[Sample]:
        """The images of 'train' or 'test', sorted."""
        return [self._sample(image) for image in self._images[split]]

    def problems(self) -> Sequence[str]:
        """Images without labels, JSON of another form, unknown labels, wrong sizes, lost images."""
        return list(self._problems())

    def _list_folder(self, top: Path) -> list[tuple[Path, str]]:
        """Images of a folder with their places; those inside a JSON go by the JSON's name."""
        images = {path.resolve(): path for path in list_images(top)}
        for path in list_images(top, (".json",)):
            try:
                file = _read_file(path)
            except HandboneError as error:
                file = LabelFile(path, _beside(path), Counter(), (), None)  # said when read
                if file.image is None:
                    self._faults.append(str(error))
                    continue
            if file.image is None:
                self._faults.append(f"{path}: its image is not there, nor inside (imagePath).")
                continue
            image = images.setdefault(file.image.resolve(), file.image)
            if image in self._labels:
                self._faults.append(f"{path}: its image has labels in {self._labels[image].path}.")
            else:
                self._labels[image] = file
        return [(path, _place(path, top)) for path in sorted(images.values())]

    def _sample(self, image: ImageFile) -> Sample:
        file = self._labels.get(image.path)
        inside = file is not None and file.image == file.path
        read = functools.partial(read_embedded if inside else read_grey, image.path)
        spacing = self._options.spacing
        return Sample(
            image_id=image.image_id,
            person=image.person,
            read_image=read,
            read_labels=(
                functools.partial(read_shapes, file.path, self.class_names, read) if file else None
            ),
            path=None if inside else image.path,
            key=files_key(file.path, image.path, also=self.class_names) if file else None,
            side=image.side,
            spacing=(spacing, spacing) if spacing else None,
        )

    def _problems(self) -> Iterator[str]:
        yield from self._faults
        splits = {split: self.samples(split) for split in SPLITS}
        yield from people_in_both(splits)
        for split, samples in splits.items():
            labelled = any(sample.read_labels for sample in samples)
            for sample, image in zip(samples, self._images[split], strict=True):
                file = self._labels.get(image.path)
                if file is not None:
                    yield from label_problems(file, sample, self.class_names)
                elif labelled:
                    yield f"{image.path}: the image has no labels."
                yield from sample_problems(
                    sample, self.class_names, file.path if file else image.path
                )


def read_shapes(
    path: Path, class_names: Sequence[str], read_image: Callable[[], NDArray[Any]]
) -> dict[int, list[NDArray[np.float32]]] | PackedMask:
    """Labels of one JSON: outlines, or masks where any of its shapes is a mask.

    Args:
        path: the JSON.
        class_names: others are left out.
        read_image: asked for its size alone, and only where there are masks.

    Raises:
        HandboneError: not labelme's form.
    """
    index = {name: place for place, name in enumerate(class_names)}
    outlines: dict[int, list[NDArray[np.float32]]] = {}
    masks: list[tuple[int, tuple[int, int], NDArray[np.bool_]]] = []
    for label, kind, shape in _shapes(path, read_json(path)):
        if label not in index:
            continue
        if kind == "mask":
            masks.append((index[label], *_mask(path, label, shape)))
        elif kind in OUTLINED:
            outlines.setdefault(index[label], []).append(_outline(path, label, kind, shape))
    if not masks:
        return outlines
    height, width = read_image().shape
    filled = PackedMask.from_polygons(outlines, (height, width), len(class_names))
    for place, (top, left), crop in masks:
        bottom, right = top + crop.shape[0], left + crop.shape[1]
        if top < 0 or left < 0 or bottom > height or right > width:
            raise HandboneError(
                f"{path}: the mask of '{class_names[place]}' leaves the image ({width} x {height})."
            )
        filled.add(place, (top, bottom, left, right), crop)
    return filled


def read_embedded(path: Path) -> NDArray[Any]:
    """The image inside a labelme JSON: (H, W) grey.

    Raises:
        HandboneError: not labelme's form, or a damaged image.
    """
    return decode_grey(_decode_base64(path, read_json(path).get("imageData")), f"{path}: imageData")


def label_problems(file: LabelFile, sample: Sample, class_names: Sequence[str]) -> Iterator[str]:
    """Labels that are no class, shapes without an inside, another size than the image's."""
    for label in sorted(file.labels.keys() - set(class_names)):
        yield f"{file.path}: '{label}' is no known class."
    for kind in file.others:
        yield f"{file.path}: a shape of type '{kind}' has no inside and is left out."
    if file.size is None:
        return
    try:
        height, width = sample.read_image().shape
    except HandboneError:
        return
    if file.size != (height, width):
        yield (
            f"{file.path}: drawn on an image of {file.size[1]} x {file.size[0]} pixels, but it has "
            f"{width} x {height}."
        )


def _read_file(path: Path) -> LabelFile:
    content = read_json(path)
    shapes = list(_shapes(path, content))
    height, width = content.get("imageHeight"), content.get("imageWidth")
    image = _beside(path, content.get("imagePath")) or (path if content.get("imageData") else None)
    return LabelFile(
        path=path,
        image=image,
        labels=Counter(label for label, kind, _ in shapes if kind == "mask" or kind in OUTLINED),
        others=tuple(kind for _, kind, _ in shapes if kind != "mask" and kind not in OUTLINED),
        size=(height, width) if isinstance(height, int) and isinstance(width, int) else None,
    )


def _beside(path: Path, named: Any = None) -> Path | None:
    """The image that a JSON names, on whatever system it was written, or that of its own name."""
    if isinstance(named, str) and named:
        image = path.parent / named.replace("\\", "/")
        if image.is_file():
            return image
    stem = path.with_suffix("")
    return next((p for s in SUFFIXES if (p := Path(f"{stem}{s}")).is_file()), None)


def _shapes(path: Path, content: Any) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    try:
        for shape in content["shapes"]:
            yield str(shape["label"]), shape.get("shape_type") or "polygon", shape
    except (KeyError, TypeError, AttributeError) as error:
        raise HandboneError(
            f"{path}: not labelme's form; expected "
            '{"shapes": [{"label": ..., "points": [[x, y], ...]}]}.'
        ) from error


def _outline(path: Path, label: str, kind: str, shape: Mapping[str, Any]) -> NDArray[np.float32]:
    """(n, 2) x, y as labelme's own tools fill it: coordinates are pixels' indices."""
    points = _points(path, label, shape, 2 if kind in {"rectangle", "circle"} else 3)
    if kind == "rectangle" and len(points) == 2:
        (x0, y0), (x1, y1) = points
        return np.array([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], np.float32)
    if kind == "circle":
        radius = float(np.linalg.norm(points[1] - points[0]))
        angle = np.linspace(0, 2 * np.pi, max(16, int(2 * np.pi * radius)), endpoint=False)
        ring = points[0] + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return np.asarray(ring, np.float32)
    return points


def _points(path: Path, label: str, shape: Mapping[str, Any], least: int) -> NDArray[np.float32]:
    try:
        array = np.asarray(shape.get("points"), np.float32)
    except (TypeError, ValueError):
        array = np.zeros(0, np.float32)
    right = array.ndim == 2 and array.shape[1:] == (2,) and len(array) >= least
    if not right or not np.isfinite(array).all():
        raise HandboneError(f"{path}: '{label}': expected at least {least} points [x, y].")
    return array


def _mask(
    path: Path, label: str, shape: Mapping[str, Any]
) -> tuple[tuple[int, int], NDArray[np.bool_]]:
    """(top, left) and the crop of a shape of type mask; its points are its first and last pixel."""
    first, last = _points(path, label, shape, 2)[:2].astype(int)
    crop = decode_grey(_decode_base64(path, shape.get("mask")), f"{path}: the mask of '{label}'")
    if crop.shape != (last[1] - first[1] + 1, last[0] - first[0] + 1):
        raise HandboneError(f"{path}: the mask of '{label}' has another size than its points say.")
    return (int(first[1]), int(first[0])), crop != 0


def _decode_base64(path: Path, text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (TypeError, ValueError, binascii.Error) as error:
        raise HandboneError(f"{path}: an image inside it is damaged (base64).") from error


def _place(path: Path, top: Path) -> str:
    below = path.relative_to(top) if path.is_relative_to(top) else Path(path.name)
    return below.with_suffix("").as_posix()


def build(options: LabelmeOptions, context: DatasetContext) -> LabelmeDataset:
    """Open the folder that `data.root` names."""
    return LabelmeDataset(opened_root(context, "images and labelme's JSON in it"), options)
