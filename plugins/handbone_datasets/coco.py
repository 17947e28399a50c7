"""The dataset `coco`: annotations as COCO writes them, overlaps kept; RAM-H1200's layout too."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from handbone_cli import HandboneError, PackedMask, Sample, read_grey, read_json
from handbone_datasets.coco_masks import Segmentation
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
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from handbone_cli import DatasetContext

RAM_H1200 = {
    "annotations": "_annotations_bone_rle.coco.json",
    "person": r"^([A-Z]+_[A-Z]+_P\d+)_",
    "side": "_([LR])$",
    "ignore": ("SoftTissue", "Metal Implant", "Intravenous cannula", "Ring"),
}
"""RAM-H1200 (Yang et al., 2026): train, val and test below Segmentation, a JSON beside the images,
JP_SCGH_P0029_20121201_5835_L.bmp: country and centre, patient, day, number, hand."""


class CocoOptions(FileOptions):
    """Options of the dataset `coco`."""

    layout: Literal["coco", "ram_h1200"] = Field(
        "coco", description="ram_h1200: its annotations, person, side and ignore where not set"
    )
    annotations: str | None = Field(
        None,
        description="name of the annotation files, * for any part of it; none: *.json. They lie in "
        "the folders of train and test, or in the root or annotations/ with the folder in the name",
    )
    images: str | None = Field(
        None, description="folder of the images, below the root; none: looked for near the JSON"
    )
    person_key: str | None = Field(
        None, description="key of an image's entry that says whose it is, such as patient_id"
    )
    ignore: tuple[str, ...] | None = Field(None, description="categories to leave out")
    iscrowd: bool = Field(
        default=True, description="also annotations with iscrowd = 1, as CVAT marks all run lengths"
    )


@dataclass
class Entry:
    """One image and what is annotated in it.

    Attributes:
        path: where it should be.
        place: its file_name without suffix, with `/`.
        person: whose, if its entry says so.
        size: (H, W) that its entry says, or None.
        annotations: (where it stands, category name, `segmentation`).
    """

    path: Path
    place: str
    person: str | None
    size: tuple[int, int] | None
    annotations: list[tuple[str, str, Any]] = field(default_factory=list)


@dataclass
class Annotations:
    """What the files of a dataset say.

    Attributes:
        entries: split -> images by path.
        categories: names in the order of the files and their ids.
        faults: sentences on what does not fit together.
    """

    entries: dict[str, dict[Path, Entry]] = field(
        default_factory=lambda: {split: {} for split in SPLITS}
    )
    categories: dict[str, None] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


class CocoDataset:
    """Images with `annotations` of COCO's form, in one file or several a split.

    Annotations of one category in an image are united; categories may overlap. An image without
    annotations counts as unlabelled.
    """

    def __init__(self, root: Path, options: CocoOptions) -> None:
        self._options = options = _with_layout(options)
        self._root = root
        self._files = _annotation_files(root, options)
        if not any(self._files.values()):
            raise HandboneError(
                f"{root}: no annotations '{options.annotations}' in it, in 'annotations' or in one "
                f"of {', '.join((*options.train, *options.test))} (data.root, data.annotations)."
            )
        self._found = Annotations()
        for split, files in self._files.items():
            for file in files:
                _read_annotations(file, split, self._found, root, options)
        self.class_names = options.class_names or tuple(
            name for name in self._found.categories if name not in (options.ignore or ())
        )
        if not self.class_names:
            first = next(file for files in self._files.values() for file in files)
            raise HandboneError(f"{first}: no category in it (data.ignore, data.class_names).")
        self._images = self._named_images()

    def samples(self, split: str) -> Sequence[Sample]:
        """The images of 'train' or 'test' in the order of the files."""
        return [
            self._sample(image, self._found.entries[split][image.path])
            for image in self._images[split]
        ]

    def problems(self) -> Sequence[str]:
        """Images or categories that are not there, nothing annotated, sizes, damaged masks."""
        return list(self._problems())

    def _named_images(self) -> dict[str, list[ImageFile]]:
        by_key = self._options.person_key is not None
        options = self._options.model_copy(update={"person": None}) if by_key else self._options
        listed = {
            split: [(path, entry.place) for path, entry in entries.items()]
            for split, entries in self._found.entries.items()
        }
        return name_images(listed, options)

    def _sample(self, image: ImageFile, entry: Entry) -> Sample:
        index = {name: place for place, name in enumerate(self.class_names)}
        parts = [(where, index[n], s) for where, n, s in entry.annotations if n in index]
        classes = len(self.class_names)
        read = functools.partial(read_annotations, image.path, parts, classes, entry.size)
        spacing = self._options.spacing
        return Sample(
            image_id=image.image_id,
            person=entry.person or image.person,
            read_image=functools.partial(read_grey, image.path),
            read_labels=read if parts else None,
            path=image.path,
            key=files_key(image.path, also=[json.dumps([self.class_names, entry.size, parts])])
            if parts
            else None,
            side=image.side,
            spacing=(spacing, spacing) if spacing else None,
        )

    def _problems(self) -> Iterator[str]:
        yield from self._found.faults
        splits = {split: self.samples(split) for split in SPLITS}
        yield from people_in_both(splits)
        yield from self._strange_categories()
        yield from self._unlisted_images()
        for samples in splits.values():
            labelled = any(sample.read_labels for sample in samples)
            for sample in samples:
                if labelled and sample.read_labels is None:
                    yield f"{sample.path}: nothing is annotated in the image."
                yield from sample_problems(sample, self.class_names, sample.path)

    def _strange_categories(self) -> Iterator[str]:
        known = {*self.class_names, *(self._options.ignore or ())}
        for name in self._found.categories:
            if name not in known:
                yield f"{self._root}: the category '{name}' is no known class."

    def _unlisted_images(self) -> Iterator[str]:
        """Images beside an annotation file that it does not list."""
        for split, files in self._files.items():
            listed = {path.resolve() for path in self._found.entries[split]}
            beside = {file.parent for file in files if file.parent.name in _folders(self._options)}
            for folder in sorted(beside):
                for path in list_images(folder):
                    if path.resolve() not in listed:
                        yield f"{path}: the image is in no annotation file."


def read_annotations(
    image: Path,
    annotations: Iterable[tuple[str, int, Any]],
    classes: int,
    size: tuple[int, int] | None = None,
) -> PackedMask:
    """Masks of one image.

    Args:
        image: whose size they must have.
        annotations: (where it stands, class index, the value of `segmentation`).
        classes: C.
        size: (H, W) that the image should have, or None.

    Raises:
        HandboneError: the image cannot be read, or an annotation is damaged or of another size.
    """
    height, width = read_grey(image).shape
    mask = PackedMask.empty((height, width), classes)
    require_size(size or mask.size, mask.size, f"{image}: its entry says")
    for where, index, value in annotations:
        try:
            segmentation = Segmentation.parse(value)
        except ValueError as error:
            raise HandboneError(f"{where}: {error}.") from error
        require_size(segmentation.size or mask.size, mask.size, where)
        segmentation.fill(mask, index)
    return mask


def _with_layout(options: CocoOptions) -> CocoOptions:
    """The options with what the layout says where nothing is set."""
    defaults: Mapping[str, Any] = RAM_H1200 if options.layout == "ram_h1200" else {}
    missing = {k: v for k, v in defaults.items() if getattr(options, k) is None}
    return options.model_copy(update={"annotations": options.annotations or "*.json", **missing})


def _folders(options: CocoOptions) -> set[str]:
    return {PurePosixPath(name).name for name in (*options.train, *options.test)}


def _annotation_files(root: Path, options: CocoOptions) -> dict[str, list[Path]]:
    """The annotation files by split: in its folders, else by its folders' names in their own."""
    pattern = options.annotations or "*.json"
    tops = [root, root / "Segmentation"] if options.layout == "ram_h1200" else [root]
    named = {"train": options.train, "test": options.test}
    found = {
        split: [f for top in tops for name in names for f in sorted((top / name).glob(pattern))]
        for split, names in named.items()
    }
    if any(found.values()):
        return found
    loose = [*sorted((root / "annotations").glob(pattern)), *sorted(root.glob(pattern))]
    for split, names in named.items():
        word = re.compile(rf"(?<![a-z])({'|'.join(map(re.escape, names))})(?![a-z])", re.IGNORECASE)
        found[split] = [file for file in loose if names and word.search(file.stem)]
    if not any(found.values()):
        found["train"] = loose
    return found


def _read_annotations(
    file: Path, split: str, found: Annotations, root: Path, options: CocoOptions
) -> None:
    """Add what a file says.

    Raises:
        HandboneError: it is no JSON or not of COCO's form.
    """
    content = read_json(file)
    try:
        images = {image["id"]: image for image in content["images"]}
        names = {c["id"]: str(c["name"]) for c in sorted(content["categories"], key=_by_id)}
        annotations = content.get("annotations", [])
        entries = {key: _entry(image, file, root, options) for key, image in images.items()}
        used = {names.get(each["category_id"]) for each in annotations}
        parents = {c.get("supercategory") for c in content["categories"]}
        for number, each in enumerate(annotations):
            where = f"{file}: annotation {each.get('id', number)}"
            if each["image_id"] not in entries or each["category_id"] not in names:
                what = "image" if each["image_id"] not in entries else "category"
                found.faults.append(f"{where}: there is no {what} {each[f'{what}_id']}.")
            elif options.iscrowd or not each.get("iscrowd"):
                name = names[each["category_id"]]
                if each.get("segmentation") is None:
                    found.faults.append(f"{where}: it has no segmentation.")
                else:
                    part = (where, name, each["segmentation"])
                    entries[each["image_id"]].annotations.append(part)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise HandboneError(
            f"{file}: not COCO's form; expected images, categories and annotations with id, "
            f"file_name, name, image_id and category_id ({type(error).__name__}: {error})."
        ) from error
    # Roboflow lists its project as a category above the others.
    found.categories.update(
        dict.fromkeys(n for n in names.values() if n in used or n not in parents)
    )
    for entry in entries.values():
        known = found.entries[split].setdefault(entry.path, entry)
        if known is not entry:
            known.annotations += entry.annotations


def _by_id(category: Mapping[str, Any]) -> tuple[bool, Any]:
    return isinstance(category["id"], str), category["id"]


def _entry(image: Mapping[str, Any], file: Path, root: Path, options: CocoOptions) -> Entry:
    name = str(image["file_name"]).replace("\\", "/")
    tops = [root / options.images] if options.images else [
        file.parent, file.parent / "images", root, root / "images",
        root / file.stem.removeprefix("instances_"),
    ]  # fmt: skip
    places = [top / name for top in tops]
    path = next((place for place in places if place.is_file()), places[0])
    height, width = image.get("height"), image.get("width")
    person = None
    if options.person_key is not None:
        if image.get(options.person_key) in {None, ""}:
            raise HandboneError(
                f"{file}: '{name}' has no '{options.person_key}' (data.person_key)."
            )
        person = str(image[options.person_key])
    size = (int(height), int(width)) if height and width else None
    return Entry(path, PurePosixPath(name).with_suffix("").as_posix(), person, size)


def build(options: CocoOptions, context: DatasetContext) -> CocoDataset:
    """Open the folder that `data.root` names."""
    return CocoDataset(opened_root(context, "COCO annotations in it"), options)
