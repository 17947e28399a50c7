"""The files of a DICOM dataset: what they are called, whose they are, where their labels lie."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from handbone_cli import (
    DicomHeader,
    HandboneError,
    Options,
    find_dicom_files,
    pseudonym,
    read_dicom_header,
)
from handbone_datasets.image_files import list_images, split_folders

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")


class DicomOptions(Options):
    """Options of the dataset `dicom`."""

    train: tuple[str, ...] = Field(("train", "val"), description="folders to train on")
    test: tuple[str, ...] = Field(("test",), description="folders to predict")
    class_names: tuple[str, ...] | None = Field(
        None, description="classes in the order of masks and CSV; none: those found, sorted"
    )
    person: Literal["patient", "study", "folder"] = Field(
        "patient", description="what images of one person share: PatientID, the study, the folder"
    )
    ids: Literal["file", "uid"] = Field(
        "file",
        description="images are called by their files; uid: by a hash of SOPInstanceUID, and no "
        "path is written or said, for files or folders named after people",
    )
    masks: str = Field("masks", description="folders of masks NAME/CLASS.png")


@dataclass(frozen=True)
class DicomFile:
    """One file of a dataset.

    Attributes:
        path: where it is.
        shown: what messages call it.
        image_id: unique in the dataset.
        person: a pseudonym, or the folder's name.
        header: None where it cannot be read.
        labels: its JSON, or its masks by class; empty where it has none.
    """

    path: Path
    shown: str
    image_id: str
    person: str
    header: DicomHeader | None
    labels: Mapping[str, Path]


def read_files(root: Path, options: DicomOptions) -> dict[str, list[DicomFile]]:
    """The images below a root by split, sorted, with their names, people and labels."""
    folders = split_folders(root, options.train, options.test)
    paths = {
        split: [path for top in tops for path in find_dicom_files(top)]
        for split, tops in folders.items()
    }
    every = [path for found in paths.values() for path in found]
    shown = {path: str(path) for path in every}
    if options.ids == "uid":
        order = sorted(every)
        shown = {p: f"{root}: DICOM file {n} of {len(order)}" for n, p in enumerate(order, start=1)}
    headers = {path: _header(path, shown[path]) for path in every}
    images = [path for path in every if not (header := headers[path]) or header.is_image]
    people, ids = _people(images, headers, root, options), _ids(images, headers, root, options)
    labels = _find_labels(images, headers, root, options)
    return {
        split: [
            DicomFile(path, shown[path], ids[path], people[path], headers[path], labels[path])
            for path in found
            if path in ids
        ]
        for split, found in paths.items()
    }


def _header(path: Path, shown: str) -> DicomHeader | None:
    try:
        return read_dicom_header(path, shown)
    except HandboneError as error:
        if "pip install" in str(error):
            raise
        return None  # what is wrong is said when the pixels are read


def _stem(path: Path) -> str:
    return path.stem if path.suffix.lower() in DICOM_SUFFIXES else path.name


def _ids(
    images: Sequence[Path],
    headers: Mapping[Path, DicomHeader | None],
    root: Path,
    options: DicomOptions,
) -> dict[Path, str]:
    """Names of the files, with their folders where two have one name; or hashes."""
    stems = Counter(_stem(path) for path in images)
    ids: dict[Path, str] = {}
    seen: dict[str, Path] = {}
    for path in images:
        header = headers[path]
        if options.ids == "uid":
            content = hashlib.sha256(path.read_bytes()).hexdigest() if not header else ""
            name = pseudonym(header.instance if header and header.instance else content)
        elif stems[_stem(path)] == 1:
            name = _stem(path)
        else:
            name = "__".join((*path.parent.relative_to(root).parts, _stem(path)))
        if name in seen:
            same = "SOPInstanceUID" if options.ids == "uid" else "name"
            where = root if options.ids == "uid" else f"{path} and {seen[name]}"
            raise HandboneError(f"{where}: two images of one {same}; remove one of them.")
        seen[name] = path
        ids[path] = name
    return ids


def _people(
    images: Sequence[Path],
    headers: Mapping[Path, DicomHeader | None],
    root: Path,
    options: DicomOptions,
) -> dict[Path, str]:
    """A name for everyone: what their images share, hashed with the first of their studies."""
    shared: dict[Path, str] = {}
    studies: dict[str, list[str]] = defaultdict(list)
    for path in images:
        header = headers[path]
        study = header.study if header else ""
        what = {
            "patient": header.patient if header else "",
            "study": study,
            "folder": path.parent.relative_to(root).as_posix().strip("."),
        }[options.person]
        shared[path] = what or study or str(path)
        if study:
            studies[shared[path]].append(study)
    people = {path: pseudonym(w, min(studies[w], default="")) for path, w in shared.items()}
    if options.person == "folder" and options.ids == "file":
        people.update((path, path.parent.name) for path in images if path.parent != root)
    return people


def _find_labels(
    images: Sequence[Path],
    headers: Mapping[Path, DicomHeader | None],
    root: Path,
    options: DicomOptions,
) -> dict[Path, dict[str, Path]]:
    """The JSON ("") or the masks by class of every image, by its file's name or its UID.

    What lies beside the image goes first; elsewhere a file's name counts only if no other has it.
    """
    jsons: dict[str, list[Path]] = defaultdict(list)
    for path in list_images(root, (".json",)):
        jsons[path.name[:-5]].append(path)
    masks: dict[str, list[Path]] = defaultdict(list)
    for path in list_images(root, (".png",)):
        if path.parent.parent.name == options.masks:
            masks[path.parent.name].append(path)
    stems = Counter(_stem(path) for path in images)
    labels: dict[Path, dict[str, Path]] = {}
    for image in images:
        header = headers[image]
        uid = [header.instance] if header and header.instance else []
        beside = [found for name in (_stem(image), *uid) for found in jsons.get(name, ())
                  if found.parent == image.parent]  # fmt: skip
        names = [*uid, *([_stem(image)] if stems[_stem(image)] == 1 else [])]
        found = beside or [path for name in names for path in jsons.get(name, ())]
        labels[image] = {"": found[0]} if found else {
            path.stem: path for name in names for path in masks.get(name, ())}  # fmt: skip
    return labels
