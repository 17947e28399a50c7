"""The dataset `png_masks`: radiographs beside masks, one PNG a class or one index map an image."""

from __future__ import annotations

import functools
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from pydantic import Field, PositiveInt

from handbone_cli import HandboneError, PackedMask, Sample, read_grey, read_values
from handbone_datasets.image_files import (
    SPLITS,
    FileOptions,
    ImageFile,
    files_key,
    list_images,
    name_images,
    opened_root,
    people_in_both,
    require_size,
    sample_problems,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli import DatasetContext

INDEX_MAP = "{image}"
LAYOUTS = (INDEX_MAP, "{image}/{class}", "{class}/{image}", "{image}__{class}")
"""Of the masks' folder, without .png; the first of those that fit the most files is taken."""


class PngMasksOptions(FileOptions):
    """Options of the dataset `png_masks`."""

    images: str = Field("images", description="folder of the images")
    masks: str = Field("masks", description="folder of the masks")
    layout: str | None = Field(
        None,
        description="path of a mask without .png, {class} and {image} in it, or {image} alone for "
        f"index maps; none: whichever of {', '.join(LAYOUTS)} fits",
        pattern=r"^[^{}]*(\{image\}|\{image\}[^{}]+\{class\}|\{class\}[^{}]+\{image\})[^{}]*$",
    )
    names: dict[PositiveInt, str] | None = Field(
        None,
        description="classes of an index map by value: { 1 = 'Radius', 2 = 'Ulna' }; none: value 1 "
        "is the first of class_names",
    )


@dataclass(frozen=True)
class Folder:
    """One folder of images and the one of their masks.

    Attributes:
        images: each with its place below the folder, without suffix.
        masks: the same.
    """

    images: list[tuple[Path, str]]
    masks: list[tuple[Path, str]]


@dataclass
class FoundMasks:
    """The masks of a dataset.

    Attributes:
        files: image -> class -> file; the class is "" for an index map.
        strange: files that belong to no image.
    """

    files: dict[Path, dict[str, Path]] = field(default_factory=dict)
    strange: list[Path] = field(default_factory=list)


class PngMasksDataset:
    """Images in `images/`, masks in `masks/`; split as `train/images` or `images/train`.

    Masks may overlap: a class has a file of its own, 0 outside and one other value inside. Index
    maps cannot overlap: a pixel's value is the number of its class.
    """

    def __init__(self, root: Path, options: PngMasksOptions) -> None:
        self._options = options
        folders = _read_folders(root, options)
        listed = {
            split: [pair for each in found for pair in each.images]
            for split, found in folders.items()
        }
        self._images = name_images(listed, options)
        if not any(self._images.values()):
            raise HandboneError(
                f"{root}: no image in '{options.images}', in 'train/{options.images}' or in "
                f"'{options.images}/train' below it (data.root, data.images, data.train)."
            )
        every = [folder for found in folders.values() for folder in found]
        fitting = {layout: _find_masks(every, layout) for layout in _layouts(options)}
        self.layout = min(fitting, key=lambda layout: len(fitting[layout].strange))
        self._masks = fitting[self.layout]
        self._values: dict[int, str] = {}
        if self.layout == INDEX_MAP and self._masks.files:
            self._values = _classes_by_value(root, options)
        self.class_names = options.class_names or self._found_classes()
        if not self.class_names:
            raise HandboneError(
                f"{root}: no mask belongs to an image; expected one of "
                f"{', '.join(f'{options.masks}/{layout}.png' for layout in LAYOUTS)} "
                "(data.masks, data.layout), or name the classes (data.class_names)."
            )

    def samples(self, split: str) -> Sequence[Sample]:
        """The images of 'train' or 'test', sorted."""
        return [self._sample(image) for image in self._images[split]]

    def problems(self) -> Sequence[str]:
        """Images without masks, masks without images, unknown, missing, unreadable ones."""
        return list(self._problems())

    def _sample(self, image: ImageFile) -> Sample:
        files = self._masks.files.get(image.path)
        spacing = self._options.spacing
        read = functools.partial(read_grey, image.path)
        return Sample(
            image_id=image.image_id,
            person=image.person,
            read_image=read,
            read_labels=self._reader(read, files) if files else None,
            path=image.path,
            key=files_key(image.path, *files.values(), also=self.class_names) if files else None,
            side=image.side,
            spacing=(spacing, spacing) if spacing else None,
        )

    def _reader(
        self, read_image: Callable[[], NDArray[Any]], files: Mapping[str, Path]
    ) -> functools.partial[PackedMask]:
        index = {name: place for place, name in enumerate(self.class_names)}
        count = len(self.class_names)
        if self.layout == INDEX_MAP:
            values = {v: index[name] for v, name in self._values.items() if name in index}
            return functools.partial(read_index_map, read_image, files[""], values, count)
        known = {index[name]: path for name, path in sorted(files.items()) if name in index}
        return functools.partial(read_masks, read_image, known, count)

    def _found_classes(self) -> tuple[str, ...]:
        if self._values:
            return tuple(dict.fromkeys(name for _, name in sorted(self._values.items())))
        return tuple(sorted({name for files in self._masks.files.values() for name in files}))

    def _problems(self) -> Iterator[str]:
        for path in self._masks.strange:
            yield f"{path}: the mask has no image, or is not named '{self.layout}'."
        splits = {split: self.samples(split) for split in SPLITS}
        yield from people_in_both(splits)
        for split, samples in splits.items():
            labelled = any(sample.read_labels for sample in samples)
            for sample, image in zip(samples, self._images[split], strict=True):
                files = self._masks.files.get(image.path, {})
                if labelled and not files:
                    yield f"{image.path}: the image has no mask."
                for name in sorted(files.keys() - set(self.class_names) - {""}):
                    yield f"{files[name]}: '{name}' is no known class."
                if "" in files:
                    yield from self._strange_values(files[""])
                yield from sample_problems(sample, self.class_names, image.path)

    def _strange_values(self, path: Path) -> Iterator[str]:
        try:
            values = np.unique(read_values(path))
        except HandboneError:
            return
        strange = [str(value) for value in values if value and int(value) not in self._values]
        if strange:
            yield f"{path}: the values {', '.join(strange)} have no class (data.names)."


def read_masks(
    read_image: Callable[[], NDArray[Any]], files: Mapping[int, Path], classes: int
) -> PackedMask:
    """Masks of one image from one file a class.

    Args:
        read_image: reads the image whose size they must have.
        files: class index -> file.
        classes: C.

    Raises:
        HandboneError: a mask that cannot be read, of another size, or of more than two values.
    """
    size = read_image().shape
    mask = PackedMask.empty((size[0], size[1]), classes)
    for index, path in files.items():
        values = read_grey(path)
        require_size(values.shape, size, path)
        inside = values != 0
        if not (values[inside] == values.max()).all():
            raise HandboneError(
                f"{path}: a mask has two values, 0 and 255 or 0 and 1; this one has "
                f"{len(np.unique(values))}."
            )
        x, y, width, height = cv2.boundingRect(inside.astype(np.uint8))
        box = (y, y + height, x, x + width)
        mask.add(index, box, inside[y : y + height, x : x + width])
    return mask


def read_index_map(
    read_image: Callable[[], NDArray[Any]], path: Path, values: Mapping[int, int], classes: int
) -> PackedMask:
    """Masks of one image from its index map.

    Args:
        read_image: reads the image whose size it must have.
        path: a grey or palette PNG.
        values: value -> class index; other values are background.
        classes: C.

    Raises:
        HandboneError: it cannot be read or is of another size.
    """
    stored = read_values(path)
    size = read_image().shape
    require_size(stored.shape, size, path)
    planes: NDArray[np.uint8] = PackedMask.empty((1, int(stored.max()) + 1), classes).planes[0]
    for value, index in values.items():
        if value < len(planes):
            planes[value, index >> 3] |= np.uint8(1 << (index & 7))
    return PackedMask(planes[stored], classes)


def _read_folders(root: Path, options: PngMasksOptions) -> dict[str, list[Folder]]:
    """The folders by split; all to train on where nothing is split."""
    images, masks = options.images, options.masks
    found: dict[str, list[Folder]] = {}
    for split, names in (("train", options.train), ("test", options.test)):
        pairs = [(root / name / images, root / name / masks) for name in names]
        pairs += [(root / images / name, root / masks / name) for name in names]
        found[split] = [_read_folder(*pair) for pair in pairs if pair[0].is_dir()]
    if any(found.values()):
        return found
    return {"train": [_read_folder(root / images, root / masks)], "test": []}


def _read_folder(images: Path, masks: Path) -> Folder:
    return Folder(
        [(path, _place(path, images)) for path in list_images(images)],
        [(path, _place(path, masks)) for path in list_images(masks, (".png",))],
    )


def _place(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


def _layouts(options: PngMasksOptions) -> tuple[str, ...]:
    return (options.layout,) if options.layout else LAYOUTS


def _find_masks(folders: Sequence[Folder], layout: str) -> FoundMasks:
    """Give every mask to the image that it names by its place or, if that is enough, its name."""
    found = FoundMasks()
    for folder in folders:
        stems = Counter(path.stem for path, _ in folder.images)
        named = {path.stem: path for path, _ in folder.images if stems[path.stem] == 1}
        named.update((place, path) for path, place in folder.images)
        for path, place in folder.masks:
            image, name = _parse(place, layout, named)
            if image is None or name in found.files.get(image, {}):
                found.strange.append(path)
            else:
                found.files.setdefault(image, {})[name] = path
    return found


def _parse(place: str, layout: str, named: Mapping[str, Path]) -> tuple[Path | None, str]:
    """The image and the class of a mask's place; no image where it names none.

    What parts the two may be in either; the longest name of an image counts.
    """
    start, first, *middle, end = re.split(r"\{(image|class)\}", layout)
    if not place.startswith(start) or not place.endswith(end):
        return None, ""
    core = place[len(start) : len(place) - len(end)]
    if not middle:
        return named.get(core), ""
    found: tuple[str, str] = ("", "")
    for cut in re.finditer(f"(?={re.escape(middle[0])})", core):
        pair = core[: cut.start()], core[cut.start() + len(middle[0]) :]
        image, name = pair if first == "image" else pair[::-1]
        if image in named and name and "/" not in name and len(image) > len(found[0]):
            found = image, name
    return named.get(found[0]), found[1]


def _classes_by_value(root: Path, options: PngMasksOptions) -> dict[int, str]:
    if options.names:
        return options.names
    if options.class_names:
        return dict(enumerate(options.class_names, start=1))
    raise HandboneError(
        f"{root}: '{options.masks}' holds index maps; say which value is which class: "
        "names = { 1 = 'Radius', 2 = 'Ulna' } in [data]."
    )


def build(options: PngMasksOptions, context: DatasetContext) -> PngMasksDataset:
    """Open the folder that `data.root` names."""
    return PngMasksDataset(opened_root(context, "images and masks in it"), options)
