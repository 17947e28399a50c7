"""Image files in folders: which there are, what they are called, and whose hand they show."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import numpy as np
from pydantic import AfterValidator, Field

from handbone_cli import HandboneError, Options, PackedMask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from handbone_cli import DatasetContext, Sample

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".dcm")
SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}
SPLITS = ("train", "test")


def _one_group(pattern: str) -> str:
    try:
        groups = re.compile(pattern).groups
    except re.error as error:
        raise ValueError(f"it is no regular expression ({error})") from error
    if groups != 1:
        raise ValueError(f"it should have one group, in round brackets; it has {groups}")
    return pattern


Pattern = Annotated[str, AfterValidator(_one_group)]
"""A regular expression with one group, searched for in a file's name."""


class FileOptions(Options):
    """Options of datasets whose files' names say something."""

    train: tuple[str, ...] = Field(("train", "val"), description="folders to train on")
    test: tuple[str, ...] = Field(("test",), description="folders to predict")
    class_names: tuple[str, ...] | None = Field(
        None, description="classes in the order of masks and CSV; none: those found, sorted"
    )
    person: Pattern | None = Field(
        None,
        description="regular expression with one group that is the person, searched for in the "
        "image's path without suffix; none: the image's own folder, else every image is a person",
    )
    side: Pattern | None = Field(
        None, description="the same for the hand: L, R, left or right, in any case"
    )
    spacing: float | None = Field(None, gt=0, description="millimetres a pixel")


@dataclass(frozen=True)
class ImageFile:
    """One image of a dataset.

    Attributes:
        path: where it is.
        place: the path below the images' folder without suffix, with `/`: 'ID001/image0001'.
        image_id: unique in the dataset.
        person: whose.
        side: 'left', 'right' or None.
    """

    path: Path
    place: str
    image_id: str
    person: str
    side: str | None


def opened_root(context: DatasetContext, what: str) -> Path:
    """The folder that `data.root` names.

    Raises:
        HandboneError: none is named, or there is none.
    """
    if context.root is None:
        raise HandboneError(
            f"data.root is missing: the folder with {what}; name it with --set data.root=FOLDER."
        )
    if not context.root.is_dir():
        raise HandboneError(f"{context.root}: no such folder (data.root).")
    return context.root


def split_folders(root: Path, train: Sequence[str], test: Sequence[str]) -> dict[str, list[Path]]:
    """The folders of 'train' and 'test' below a root; the root itself to train on if none is."""
    found = {
        split: [root / name for name in names if (root / name).is_dir()]
        for split, names in (("train", train), ("test", test))
    }
    return found if any(found.values()) else {"train": [root], "test": []}


def list_images(folder: Path, suffixes: Sequence[str] = SUFFIXES) -> list[Path]:
    """Files with these suffixes in a folder and below, sorted; hidden ones are left out."""
    found = folder.rglob("*") if folder.is_dir() else ()
    return sorted(
        path for path in found if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def name_images(
    images: Mapping[str, Iterable[tuple[Path, str]]], options: FileOptions
) -> dict[str, list[ImageFile]]:
    """Ids, people and sides for the images of every split.

    Args:
        images: split -> (path, place) of each image.
        options: with the patterns.

    Raises:
        HandboneError: two images of one name, or a name that a pattern does not fit.
    """
    listed = [(split, path, place) for split, pairs in images.items() for path, place in pairs]
    stems = Counter(PurePosixPath(place).name for _, _, place in listed)
    named: dict[str, list[ImageFile]] = {split: [] for split in SPLITS}
    seen: dict[str, tuple[str, Path]] = {}
    for split, path, place in listed:
        stem = PurePosixPath(place).name
        image_id = stem if stems[stem] == 1 else place.replace("/", "__")
        if image_id in seen and seen[image_id][0] != split:
            image_id = f"{split}__{image_id}"
        if image_id in seen:
            raise HandboneError(f"{path}: the same name as {seen[image_id][1]}; names must differ.")
        seen[image_id] = split, path
        person = person_of(path, place, options) or image_id
        named[split].append(ImageFile(path, place, image_id, person, side_of(path, place, options)))
    return named


def person_of(path: Path, place: str, options: FileOptions) -> str | None:
    """Whose image it is, by the pattern or its folder; None where neither says."""
    if options.person is None:
        parts = PurePosixPath(place).parts
        return parts[-2] if len(parts) > 1 else None
    found = re.search(options.person, place)
    if not found or not found[1]:
        raise HandboneError(f"{path}: data.person = '{options.person}' does not fit '{place}'.")
    return found[1]


def side_of(path: Path, place: str, options: FileOptions) -> str | None:
    """Which hand it is, by the pattern."""
    if options.side is None:
        return None
    found = re.search(options.side, place)
    if not found or (found[1] or "").lower() not in SIDES:
        raise HandboneError(
            f"{path}: data.side = '{options.side}' finds no L, R, left or right in '{place}'."
        )
    return SIDES[found[1].lower()]


def people_in_both(splits: Mapping[str, Sequence[Sample]]) -> Iterator[str]:
    """A sentence for everyone in both splits: a model would be tested on people it knows."""
    people = [{sample.person for sample in splits[split]} for split in SPLITS]
    for person in sorted(people[0] & people[1]):
        yield f"'{person}' has images both to train on and to test with."


def sample_problems(sample: Sample, class_names: Sequence[str], where: object) -> Iterator[str]:
    """What is wrong with an image or its labels: unreadable, without some class, leaving the image.

    Args:
        sample: both are read.
        class_names: those its labels should have.
        where: what to name where the labels are wrong.
    """
    try:
        height, width = sample.read_image().shape
        if sample.read_labels is None:
            return
        labels = sample.read_labels()
    except HandboneError as error:
        yield str(error)
        return
    if isinstance(labels, PackedMask):
        there = {index for index, area in enumerate(labels.areas()) if area}
    else:
        there = {index for index, outlines in labels.items() if outlines}
    missing = [name for index, name in enumerate(class_names) if index not in there]
    if missing:
        yield f"{where}: missing {', '.join(missing)}."
    for index, outlines in () if isinstance(labels, PackedMask) else labels.items():
        if not outlines:
            continue
        points = np.concatenate(outlines)
        low, high = points.min(axis=0), points.max(axis=0)
        if (low < -0.5).any() or high[0] > width - 0.5 or high[1] > height - 0.5:
            yield f"{where}: '{class_names[index]}' leaves the image ({width} x {height})."


def require_size(mask: tuple[int, ...], image: tuple[int, ...], where: object) -> None:
    """Masks (h, w) must be of their image's size (H, W).

    Raises:
        HandboneError: they are not.
    """
    if mask != image:
        raise HandboneError(
            f"{where}: {mask[1]} x {mask[0]} pixels, but the image has {image[1]} x {image[0]}."
        )


def files_key(*files: Path, also: Iterable[str] = ()) -> str:
    """Stands for the content of files by their size and time of change, and for some texts."""
    parts = [*also]
    for file in files:
        status = file.stat() if file.is_file() else None
        parts.append(f"{file} {status and (status.st_size, status.st_mtime_ns)}")
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
