"""Wiring that several commands share: from paths on the command line to mask and label sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Dataset, Polygons, PostProcessor, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import LabelSource, MaskSource, PackedMask
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.results.submission import SubmissionMasks
    from handbone_cli.store.store import Store


class PolygonLabels:
    """A LabelSource over labelled samples."""

    def __init__(self, samples: Sequence[Sample], classes: int) -> None:
        self._samples = {s.image_id: s for s in samples if s.read_polygons is not None}
        self._classes = classes

    def has(self, image_id: str) -> bool:
        """Whether an image is labelled."""
        return image_id in self._samples

    def mask(self, image_id: str, size: tuple[int, int]) -> PackedMask:
        """The labels of one image of (H, W)."""
        from handbone_cli.masks import PackedMask

        read = self._samples[image_id].read_polygons
        polygons: Polygons = read() if read else {}
        return PackedMask.from_polygons(polygons, size, self._classes)


class NoLabels:
    """A LabelSource for images whose truth nobody knows."""

    def has(self, image_id: str) -> bool:  # noqa: ARG002
        """Never."""
        return False

    def mask(self, image_id: str, size: tuple[int, int]) -> PackedMask:  # noqa: ARG002
        """Nobody asks."""
        raise KeyError(image_id)


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


def all_samples(dataset: Dataset) -> list[Sample]:
    """Both parts of a dataset."""
    return [*dataset.samples("train"), *dataset.samples("test")]


def open_labels(
    named: str | None, stores: Sequence[Store], class_names: Sequence[str], registry: Registry
) -> LabelSource:
    """The truth that --labels names (a recipe, a folder, a CSV), or the stores' manifests do."""
    if named is not None:
        if Path(named).name.endswith((".csv", ".csv.gz")):
            return CsvLabels(Path(named), class_names)
        dataset = open_named_dataset(named, registry)
    else:
        references = [s.manifest["labels"] for s in stores if s.manifest.get("labels")]
        if not references:
            return NoLabels()
        dataset = open_reference(references[0], registry)
    if list(dataset.class_names) != list(class_names):
        raise HandboneError(
            f"the labels have other classes ({len(dataset.class_names)}: "
            f"{', '.join(dataset.class_names[:3])}, ...) than the masks ({len(class_names)}: "
            f"{', '.join(class_names[:3])}, ...)."
        )
    return PolygonLabels(all_samples(dataset), len(class_names))


def open_named_dataset(named: str, registry: Registry) -> Dataset:
    """A dataset by recipe, or by its folder in the competition's layout."""
    from handbone_cli.data.sources import open_dataset
    from handbone_cli.recipe.load import load_recipe

    if Path(named).is_dir():
        reference = {"dataset": "competition", "root": named, "options": {}}
        return open_reference(reference, registry)
    return open_dataset(load_recipe(named, registry), registry)


class CsvLabels:
    """A LabelSource over a submission-like CSV."""

    def __init__(self, path: Path, class_names: Sequence[str]) -> None:
        from handbone_cli.results.submission import SubmissionMasks

        self._masks = SubmissionMasks(path, None, class_names)
        self._ids = frozenset(self._masks.image_ids)

    def has(self, image_id: str) -> bool:
        """Whether the CSV has the image."""
        return image_id in self._ids

    def mask(self, image_id: str, size: tuple[int, int]) -> PackedMask:
        """The masks of one image of (H, W)."""
        return self._masks.decode(image_id, size)


def build_rules(
    sections: Sequence[Mapping[str, Any]], class_names: Sequence[str], registry: Registry
) -> list[PostProcessor]:
    """The spatial rules of a decision."""
    from handbone_cli.host.interfaces import PostContext

    context = PostContext(tuple(class_names))
    return [
        registry.build(
            "postprocessors", rule["name"], {k: v for k, v in rule.items() if k != "name"}, context
        )
        for rule in sections
    ]


def open_masks(
    path: Path, registry: Registry, on: Sequence[Path] = ()
) -> tuple[MaskSource, list[Store]]:
    """A store at one half, or a decision on its own members or on the stores given with --on."""
    from handbone_cli.decision import document
    from handbone_cli.decision.decide import DecidedMasks
    from handbone_cli.store.store import Store

    if path.suffix == ".toml":
        decision = document.load(path)
        decision = decision.on(on) if on else decision
        stores = document.open_members(decision)
    elif on:
        raise HandboneError(f"{path}: --on goes with a decision (.toml), not with a store.")
    else:
        stores = [Store.open(path)]
        decision = document.of_store(path, stores[0])
    rules = build_rules(decision.postprocess, decision.class_names, registry)
    masks = DecidedMasks(decision, stores, rules)
    if not masks.image_ids:
        raise HandboneError(f"{path}: there is no predicted image in it yet.")
    return masks, stores


def open_submission(path: Path, labels: str, registry: Registry) -> tuple[MaskSource, LabelSource]:
    """A submission and its truth from a dataset, which also knows the images' sizes and people."""
    from handbone_cli.results.submission import SubmissionMasks

    dataset = open_named_dataset(labels, registry)
    samples = all_samples(dataset)
    names = frozenset(SubmissionMasks(path, None, dataset.class_names).image_ids)
    wanted = [sample for sample in samples if sample.image_id in names]
    sizes = {s.image_id: _size(s) for s in wanted}
    masks = SubmissionMasks(path, sizes, dataset.class_names)
    people = {sample.image_id: sample.person for sample in wanted}
    return SubmittedMasks(masks, people), PolygonLabels(wanted, len(dataset.class_names))


def _size(sample: Sample) -> tuple[int, int]:
    height, width = sample.read_image().shape[:2]
    return height, width


class SubmittedMasks:
    """A MaskSource over a submission whose people are known."""

    def __init__(self, masks: SubmissionMasks, people: Mapping[str, str]) -> None:
        self._masks, self._people = masks, people
        self.image_ids, self.class_names = masks.image_ids, masks.class_names

    def person(self, image_id: str) -> str:
        """Whose image it is."""
        return self._people[image_id]

    def mask(self, image_id: str) -> PackedMask:
        """The masks of one image."""
        return self._masks.mask(image_id)


def require_complete(masks: MaskSource, stores: Sequence[Store]) -> None:
    """Refuse to make a file from a store whose prediction has not come to its end."""
    for store in stores:
        missing = [name for name in store.manifest["order"] if name not in store.images]
        if missing:
            raise HandboneError(
                f"{store.path}: {len(missing)} of {len(store.manifest['order'])} images are not "
                f"predicted yet ({missing[0]}, ...); run the same `hb predict` again."
            )
    if len(masks.image_ids) < max(len(store.images) for store in stores):
        raise HandboneError(
            "the members do not have the same images; predict the same -i with all."
        )


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
