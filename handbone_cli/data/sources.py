"""What `-i` names: a dataset's split, a file, a folder or a glob, as samples."""

from __future__ import annotations

import functools
import glob
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from handbone_cli.data.folds import split
from handbone_cli.data.images import SUFFIXES, read_grey
from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import DatasetContext, Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    """The labelled samples of a recipe's fold, without the excluded ones.

    Raises:
        HandboneError: an excluded id that is not there, no labelled image, too few people.
    """
    samples = [s for s in dataset.samples("train") if s.read_labels is not None]
    known = {sample.image_id for sample in samples}
    strange = [name for name in recipe.data.exclude if name not in known]
    if strange:
        raise HandboneError(f"data.exclude: there is no labelled image '{strange[0]}' to exclude.")
    kept = [sample for sample in samples if sample.image_id not in recipe.data.exclude]
    if not kept:
        raise HandboneError(f"{recipe.data.root}: there is no labelled image to train on.")
    return split(kept, recipe.data.folds, recipe.data.fold, recipe.seed)


def dataset_split(recipe: Recipe, registry: Registry, name: str) -> list[Sample]:
    """The samples of 'train', 'val' or 'test' of a recipe's own dataset."""
    dataset = open_dataset(recipe, registry)
    if name == "test":
        samples = list(dataset.samples("test"))
    else:
        samples = training_and_validation(dataset, recipe)[name == "val"]
    if not samples:
        raise HandboneError(f"{recipe.data.root}: the dataset has no '{name}' images.")
    return samples


def from_files(pattern: str) -> list[Sample]:
    """Samples of one image file, of the images in a folder and below, or of a glob, sorted.

    The image id is the file's name without suffix, or, where two files share it, the path below
    the folder with `__` for `/`. The person is unknown, so every image is a person of its own.
    """
    path = Path(pattern)
    if path.is_dir():
        files, top = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES), path
        if not files:
            raise HandboneError(f"{path}: no PNG or JPEG image in this folder.")
    elif path.exists():
        files, top = [path], path.parent
    else:
        files = sorted(Path(name) for name in glob.glob(pattern, recursive=True))  # noqa: PTH207  a pattern, not a path
        top = Path(pattern).parent
        if not files:
            raise HandboneError(
                f"{pattern}: no such file, folder or match; expected an image, a folder of PNG "
                f"or JPEG images, a glob, or one of {', '.join(SPLITS)}."
            )
    return [
        Sample(name, name, functools.partial(read_grey, file), path=file)
        for name, file in zip(_names(files, top), files, strict=True)
    ]


def _names(files: Sequence[Path], top: Path) -> list[str]:
    stems = Counter(file.stem for file in files)
    names = [
        file.stem if stems[file.stem] == 1 else "__".join(_below(file, top).with_suffix("").parts)
        for file in files
    ]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise HandboneError(f"{top}: two images are named '{doubled[0]}' but for their suffix.")
    return names


def _below(file: Path, top: Path) -> Path:
    return file.relative_to(top) if file.is_relative_to(top) else Path(*file.parts[-2:])
