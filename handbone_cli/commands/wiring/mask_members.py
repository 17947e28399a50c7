"""Masks of any kind side by side: stores, decisions, submissions, and labels of a dataset."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from handbone_cli.host.interfaces import Dataset, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.masks import MaskSource, PackedMask
    from handbone_cli.results.submission import SubmissionMasks
    from handbone_cli.store.store import Store

MANIFESTS = ("manifest.json", "run.json", "cross_validation.json")
"""A folder with one of these is a store, or is meant as one; any other is one of labels."""
ROW = 2048
"""Columns of the competition's images: bones of these then have narrow boxes."""
MOST_PIXELS = 2**28
"""A mask of so many takes a gigabyte; a digit too many in an RLE must not ask for more."""


@dataclass
class KnownImages:
    """What stores and datasets say of images, for the CSVs beside them, which say nothing.

    Attributes:
        sizes: image id -> what gives its (H, W).
        persons: image id -> whose it is.
        size: (H, W) of an image of which nothing is known; None: its pixels are put in rows of
            ROW, which is the same to whatever does not look at neighbours.
        last: the furthest pixel of such images, from 1.
    """

    sizes: dict[str, Callable[[], tuple[int, int]]] = field(default_factory=dict)
    persons: dict[str, str] = field(default_factory=dict)
    size: tuple[int, int] | None = None
    last: int = 1

    def add_samples(self, samples: Iterable[Sample]) -> None:
        """Take what a dataset knows."""
        for sample in samples:
            self.persons.setdefault(sample.image_id, sample.person)
            self.sizes.setdefault(sample.image_id, _reader(sample))

    def add_store(self, store: Store) -> None:
        """Take what a store knows; its sizes need no file to be read."""
        for image_id, entry in store.images.items():
            self.persons.setdefault(image_id, entry.person)
            self.sizes[image_id] = _constant((entry.height, entry.width))

    def add_labels(self, labels: str | None, registry: Registry) -> Sequence[str] | None:
        """Take what the recipe or folder of --labels knows; gives its classes. A CSV knows none."""
        from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset
        from handbone_cli.commands.wiring.masks import is_csv

        if labels is None or is_csv(Path(labels)):
            return None
        dataset = open_named_dataset(labels, registry)
        self.add_samples(all_samples(dataset))
        return dataset.class_names

    def reach(self, path: Path) -> None:
        """Make room for the furthest pixel of a submission, in images whose size nobody says."""
        self.last = max(self.last, _last_pixel(path))

    def size_of(self, image_id: str) -> tuple[int, int]:
        """(H, W) of an image, or of the rows that stand for it."""
        if image_id in self.sizes:
            return self.sizes[image_id]()
        return self.size or (-(-self.last // ROW), ROW)

    def unknown(self, image_ids: Iterable[str]) -> list[str]:
        """The images whose size nobody says."""
        return [] if self.size else [name for name in image_ids if name not in self.sizes]


def _constant(size: tuple[int, int]) -> Callable[[], tuple[int, int]]:
    return lambda: size


def _reader(sample: Sample) -> Callable[[], tuple[int, int]]:
    from functools import cache

    @cache
    def read() -> tuple[int, int]:
        height, width = sample.read_image().shape[:2]
        return height, width

    return read


class CsvMasks:
    """A MaskSource over a submission, which looks up its images' sizes and people elsewhere."""

    def __init__(self, masks: SubmissionMasks, known: KnownImages) -> None:
        self.image_ids, self.class_names = masks.image_ids, masks.class_names
        self._masks, self._known = masks, known

    def person(self, image_id: str) -> str:
        """Whose image it is; the image itself where nobody knows."""
        return self._known.persons.get(image_id, image_id)

    def mask(self, image_id: str) -> PackedMask:
        """The masks of one image."""
        return self._masks.decode(image_id, self._known.size_of(image_id))


class SampleMasks:
    """A MaskSource over the labels of a dataset."""

    def __init__(self, dataset: Dataset, samples: Iterable[Sample]) -> None:
        self._samples = {s.image_id: s for s in samples if s.read_labels is not None}
        self.image_ids, self.class_names = tuple(self._samples), tuple(dataset.class_names)

    def person(self, image_id: str) -> str:
        """Whose image it is."""
        return self._samples[image_id].person

    def mask(self, image_id: str) -> PackedMask:
        """The labels of one image."""
        from handbone_cli.masks import PackedMask

        sample = self._samples[image_id]
        labels = sample.read_labels() if sample.read_labels else {}
        if isinstance(labels, PackedMask):
            return labels
        return PackedMask.from_polygons(labels, _reader(sample)(), len(self.class_names))


def open_members(
    paths: Sequence[Path],
    registry: Registry,
    known: KnownImages,
    on: Sequence[Path] = (),
    class_names: Sequence[str] | None = None,
) -> tuple[list[MaskSource], list[list[Store]]]:
    """Masks of every path, and the stores below each; what they know of images goes to `known`.

    Args:
        paths: stores, decisions (.toml), submissions (.csv), folders or recipes of labels.
        registry: of plugins.
        known: of the images; is added to.
        on: stores for the decisions, in place of their own.
        class_names: of the CSVs, in this order; by default as the first path that is no CSV has
            them, else as the first CSV.

    Raises:
        HandboneError: a path is none of these, or has no image.
    """
    from handbone_cli.commands.wiring.masks import is_csv

    opened: dict[Path, MaskSource] = {}
    stores: dict[Path, list[Store]] = {}
    for path in dict.fromkeys(path for path in paths if not is_csv(path)):
        opened[path], stores[path] = _open(path, registry, known, on)
    if class_names is None and opened:
        class_names = next(iter(opened.values())).class_names
    for path in dict.fromkeys(path for path in paths if is_csv(path)):
        opened[path] = open_csv(path, known, class_names)
        class_names = class_names or opened[path].class_names
    for path, source in opened.items():
        if not source.image_ids:
            raise HandboneError(f"{path}: there is no image with masks in it.")
    return [opened[path] for path in paths], [stores.get(path, []) for path in paths]


def _open(
    path: Path, registry: Registry, known: KnownImages, on: Sequence[Path]
) -> tuple[MaskSource, list[Store]]:
    from handbone_cli.commands.wiring.datasets import all_samples, open_named_dataset
    from handbone_cli.commands.wiring.masks import open_masks

    if not path.exists() and path.suffix != ".toml":
        raise HandboneError(
            f"{path}: no such file or folder; expected a store, a decision (.toml), a submission "
            "(.csv, .csv.gz), or a folder or recipe of labels."
        )
    if _has_labels(path):
        dataset = open_named_dataset(str(path), registry)
        samples = all_samples(dataset)
        known.add_samples(samples)
        return SampleMasks(dataset, samples), []
    source, stores = open_masks(path, registry, on if path.suffix == ".toml" else ())
    for store in stores:
        known.add_store(store)
    return source, stores


def _has_labels(path: Path) -> bool:
    """Whether a path names labels rather than a store or a decision."""
    from handbone_cli.decision.document import is_decision
    from handbone_cli.files import HEAD, read_bytes

    if path.suffix == ".toml" and path.is_file():
        return not is_decision(read_bytes(path)[:HEAD])
    return path.is_dir() and not any((path / name).exists() for name in MANIFESTS)


def open_csv(path: Path, known: KnownImages, class_names: Sequence[str] | None) -> CsvMasks:
    """A submission, every row of it there.

    Raises:
        HandboneError: a bone of an image has no row; as SubmissionMasks.
    """
    from handbone_cli.results.submission import SubmissionMasks

    masks = SubmissionMasks(path, None, class_names)
    lacks = masks.problems()
    if lacks:
        count = len(lacks) - 1
        more = f" The same goes for {count} more image{'s' if count > 1 else ''}." if count else ""
        raise HandboneError(lacks[0] + more)
    if known.unknown(masks.image_ids):
        known.reach(path)
    return CsvMasks(masks, known)


def _last_pixel(path: Path) -> int:
    """The furthest end of a run in a submission, from 1; what is no RLE is refused elsewhere."""
    from handbone_cli.results.submission_rows import read_rows

    last = 1
    for row in read_rows(path):
        words = row.rle.rsplit(maxsplit=2)[-2:]
        if len(words) == 2 and all(word.isdecimal() and len(word) < 16 for word in words):
            last = max(last, int(words[0]) + int(words[1]) - 1)
    if last > MOST_PIXELS:
        raise HandboneError(
            f"{path}: a run ends at pixel {last}, which is beyond any radiograph; its RLE is wrong."
        )
    return last
