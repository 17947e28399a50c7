"""From names on the command line and in manifests to datasets and their images."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Dataset, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.store.store import Store


def dataset_reference(recipe: Recipe) -> dict[str, Any]:
    """What a manifest says of the dataset that has the truth."""
    data = recipe.data
    root = str(data.root) if data.root else None
    return {"dataset": data.dataset, "root": root, "options": data.dataset_options}


def open_reference(reference: Mapping[str, Any], registry: Registry) -> Dataset:
    """The dataset of a manifest's reference."""
    from handbone_cli.host.interfaces import DatasetContext

    context = DatasetContext(Path(reference["root"]) if reference["root"] else None)
    dataset: Dataset = registry.build(
        "datasets", reference["dataset"], reference["options"], context
    )
    return dataset


def mirror_pairs_of(dataset: Dataset) -> list[tuple[str, str]]:
    """The names that a mirror exchanges; none of a dataset whose names have no sides."""
    from handbone_cli.host.interfaces import PairedDataset

    pairs = dataset.mirror_pairs if isinstance(dataset, PairedDataset) else ()
    return [(left, right) for left, right in pairs]


def all_samples(dataset: Dataset) -> list[Sample]:
    """Both parts of a dataset."""
    return [*dataset.samples("train"), *dataset.samples("test")]


def find_samples(source: str, recipe: Recipe, registry: Registry) -> list[Sample]:
    """What -i names: a split of the recipe's dataset, files, or those of a list on stdin."""
    from handbone_cli.data.sources import SPLITS, dataset_split, from_files, from_list
    from handbone_cli.runs.launch import given_input

    if source == "-":
        return from_list(io.BytesIO(given_input()))
    return dataset_split(recipe, registry, source) if source in SPLITS else from_files(source)


def open_named_dataset(named: str, registry: Registry, overrides: Sequence[str] = ()) -> Dataset:
    """A dataset by recipe, or by its folder in the competition's layout."""
    from handbone_cli.data.sources import open_dataset
    from handbone_cli.recipe.load import find_recipe, load_recipe

    if Path(named).is_dir():
        return open_reference({"dataset": "competition", "root": named, "options": {}}, registry)
    try:
        find_recipe(named)
    except HandboneError as error:
        raise HandboneError(f"{named}: neither a folder of data nor a recipe.") from error
    return open_dataset(load_recipe(named, registry, overrides), registry)


def image_reader(store: Store, registry: Registry) -> Callable[[str], NDArray[np.uint8]]:
    """Image id -> its grey (H, W) uint8, from the file or the dataset it was predicted from."""
    from handbone_cli.data.images import read_grey
    from handbone_cli.data.preprocessing import to_uint8

    reference = store.manifest.get("labels")
    drawn = (
        {s.image_id: s for s in all_samples(open_reference(reference, registry))}
        if (reference and any(entry.source is None for entry in store.images.values()))
        else {}
    )

    def read(image_id: str) -> NDArray[np.uint8]:
        source = store.images[image_id].source
        return to_uint8(read_grey(Path(source)) if source else drawn[image_id].read_image())

    return read


def content_of(sample: Sample) -> str:
    """What a store remembers an image by, whoever predicted it: equal texts, the same pixels."""
    from handbone_cli.files import digest, read_bytes

    return digest(read_bytes(sample.path)) if sample.path else f"drawn:{sample.image_id}"
