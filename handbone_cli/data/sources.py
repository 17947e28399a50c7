"""What `-i` names: a dataset's split, a file, a folder, a glob or a list of these, as samples."""

from __future__ import annotations

import contextlib
import functools
import glob
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from handbone_cli.data import dicom, images
from handbone_cli.data.fold_file import folds_from_file
from handbone_cli.data.folds import assign, divide
from handbone_cli.errors import HandboneError, UnreadableImageError
from handbone_cli.host.interfaces import DatasetContext, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from handbone_cli.data.dicom import DicomHeader
    from handbone_cli.host.interfaces import Dataset
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe

SPLITS = ("train", "val", "test")


def open_dataset(recipe: Recipe, registry: Registry) -> Dataset:
    """The dataset that a recipe names."""
    data = recipe.data
    dataset: Dataset = registry.build(
        "datasets", data.dataset, data.dataset_options, DatasetContext(data.root)
    )
    return dataset


def training_and_validation(dataset: Dataset, recipe: Recipe) -> tuple[list[Sample], list[Sample]]:
    """The samples that a recipe trains on, and those of the people left out: none if it says so.

    Raises:
        HandboneError: as `labelled_samples`; too few people.
    """
    if recipe.train.on == "all":
        return labelled_samples(dataset, recipe), []
    return fold_parts(dataset, recipe)


def fold_parts(dataset: Dataset, recipe: Recipe) -> tuple[list[Sample], list[Sample]]:
    """The labelled samples outside a recipe's fold and those in it, whoever is trained on."""
    samples = labelled_samples(dataset, recipe)
    return divide(samples, assign_folds(samples, recipe), recipe.data.fold)


def labelled_samples(dataset: Dataset, recipe: Recipe) -> list[Sample]:
    """The labelled samples of a recipe's dataset, without the excluded ones.

    Raises:
        HandboneError: an excluded id that is not there, no labelled image.
    """
    samples = [s for s in dataset.samples("train") if s.read_labels is not None]
    known = {sample.image_id for sample in samples}
    strange = [name for name in recipe.data.exclude if name not in known]
    if strange:
        raise HandboneError(f"data.exclude: there is no labelled image '{strange[0]}' to exclude.")
    kept = [sample for sample in samples if sample.image_id not in recipe.data.exclude]
    if not kept:
        raise HandboneError(f"{recipe.data.root}: there is no labelled image to train on.")
    return kept


def assign_folds(samples: Sequence[Sample], recipe: Recipe) -> dict[str, int]:
    """The fold of every person: of data.folds_file, or dealt at random by the seed.

    Raises:
        HandboneError: too few people; a split that does not fit the data or data.folds.
    """
    data = recipe.data
    persons = [sample.person for sample in samples]
    if data.folds_file is None:
        return assign(persons, data.folds, recipe.seed)
    groups = folds_from_file(data.folds_file, persons, data.folds)
    left_out = [fold == data.fold for fold in groups.values()]
    if not any(left_out) or all(left_out):
        raise HandboneError(
            f"{data.folds_file}: {'nobody' if not any(left_out) else 'everyone'} of the data is in "
            f"fold {data.fold}; choose another data.fold, or split again with hb data folds."
        )
    return groups


def dataset_split(recipe: Recipe, registry: Registry, name: str) -> list[Sample]:
    """The samples of 'train', 'val' or 'test' of a recipe's own dataset."""
    dataset = open_dataset(recipe, registry)
    if name == "test":
        samples = list(dataset.samples("test"))
    else:
        samples = fold_parts(dataset, recipe)[name == "val"]
    if not samples:
        raise HandboneError(f"{recipe.data.root}: the dataset has no '{name}' images.")
    return samples


def from_files(pattern: str) -> list[Sample]:
    """Samples of one image file, of the images in a folder and below, or of a glob, sorted.

    PNG, JPEG, BMP and DICOM; in a folder also DICOM files without a suffix. The image id is the
    file's name without suffix, or, where two files share it, the path below the folder with `__`
    for `/`. The person is unknown, so every image is a person of its own; DICOM images of one
    study are one person's.
    """
    path = Path(pattern)
    if path.exists():
        return _samples(_images_of(path), path if path.is_dir() else path.parent)
    files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207  a pattern, not a path
    if not files:
        raise HandboneError(
            f"{pattern}: no such file, folder or match; expected an image, a folder of PNG, "
            f"JPEG, BMP or DICOM images, a glob, or one of {', '.join(SPLITS)}."
        )
    return _samples(_with_headers(files), path.parent)


def from_list(lines: Iterable[bytes], name: str = "the list of -i -") -> list[Sample]:
    """Samples of the image files and folders that a list names, one a line, in its order.

    As `from_files`; of two files of one name the ids are told apart below the folder that all
    have in common. Blank lines are left out.

    Args:
        lines: as a file or a pipe gives them.
        name: what messages call the list.

    Raises:
        HandboneError: it is empty, names what is not there, or one file twice.
    """
    named = {number: os.fsdecode(line.rstrip(b"\r\n")) for number, line in enumerate(lines, 1)}
    files: dict[Path, DicomHeader | None] = {}
    first: dict[Path, int] = {}
    for number, text in named.items():
        if not text.strip():
            continue
        path = Path(text)
        if not path.exists():
            raise HandboneError(f"{name}, line {number}: {text}: no such file or folder.")
        for file, header in _images_of(path).items():
            before = first.setdefault(file.resolve(), number)
            if file in files or before != number:
                raise HandboneError(
                    f"{name}, line {number}: {file} is there already, by line {before}."
                )
            files[file] = header
    if not files:
        raise HandboneError(f"{name} is empty; expected a path a line.")
    return _samples(files, Path(os.path.commonpath([file.absolute().parent for file in files])))


def _images_of(path: Path) -> dict[Path, DicomHeader | None]:
    """A file, or the images in a folder and below, each with its header if it is DICOM."""
    if not path.is_dir():
        return _with_headers([path])
    encoded = {p for p in path.rglob("*") if p.suffix.lower() in images.SUFFIXES}
    found = _with_headers(sorted(encoded.union(dicom.find_dicom_files(path))))
    # Reports and indices lie among a study's images.
    found = {file: header for file, header in found.items() if not header or header.is_image}
    if not found:
        raise HandboneError(
            f"{path}: no PNG or JPEG image in this folder, nor any BMP or DICOM file."
        )
    return found


def _with_headers(files: Iterable[Path]) -> dict[Path, DicomHeader | None]:
    return {file: _dicom_header(file) if dicom.is_dicom_file(file) else None for file in files}


def _samples(files: Mapping[Path, DicomHeader | None], top: Path) -> list[Sample]:
    names = _names(list(files), top)
    return [_of_file(name, *pair) for name, pair in zip(names, files.items(), strict=True)]


def _dicom_header(file: Path) -> DicomHeader | None:
    with contextlib.suppress(UnreadableImageError):  # what is wrong is said when pixels are read
        return dicom.read_dicom_header(file)
    return None


def _of_file(name: str, file: Path, header: DicomHeader | None) -> Sample:
    read = functools.partial(images.read_grey, file)
    if header is None:
        return Sample(name, name, read, path=file)
    # Not the PatientID's hash: ids are short, and whoever has the store could try them all.
    person = dicom.pseudonym(header.study) if header.study else name
    return Sample(name, person, read, path=file, side=header.side, spacing=header.spacing)


def _names(files: Sequence[Path], top: Path) -> list[str]:
    stems = Counter(_stem(file) for file in files)
    names = [
        _stem(file)
        if stems[_stem(file)] == 1
        else "__".join((*_below(file, top).parent.parts, _stem(file)))
        for file in files
    ]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise HandboneError(f"{top}: two images are named '{doubled[0]}' but for their suffix.")
    return names


def _stem(file: Path) -> str:
    is_image = file.suffix.lower() in images.SUFFIXES
    return file.stem if is_image else dicom.name_without_suffix(file)


def _below(file: Path, top: Path) -> Path:
    whole = file if file.is_relative_to(top) else file.absolute()
    return whole.relative_to(top) if whole.is_relative_to(top) else Path(*file.parts[-2:])
