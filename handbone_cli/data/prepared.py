"""Samples to prepared images and labels: made once, kept on disk or in RAM."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.data.cache import ArrayCache, FileDigests, cache_folder, require_room
from handbone_cli.data.images import read_size
from handbone_cli.data.preprocessing import Frame, PreparedImage, Preprocessing
from handbone_cli.errors import HandboneError
from handbone_cli.files import digest_json
from handbone_cli.masks import PackedMask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Labels, Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.schema import Recipe


class PreparedImages:
    """The prepared image and the labels of any sample.

    With a cache folder both are mapped from disk once they were made there, so that any number of
    worker processes share one copy and the next run begins where this one ended. What the cache
    does not hold stays in RAM up to `cache_mb`, the oldest leaving first.

    Attributes:
        preprocessing: what makes a PreparedImage.
    """

    def __init__(
        self,
        preprocessing: Preprocessing,
        *,
        labels_digest: str = "",
        folder: Path | None = None,
        cache_mb: int = 0,
        note: Callable[[str], None] = print,
    ) -> None:
        self.preprocessing = preprocessing
        self._labels_digest = labels_digest
        self._files = FileDigests(folder / "files" if folder else None)
        self._images = ArrayCache(folder / "images") if folder else None
        self._labels = ArrayCache(folder / "labels") if folder else None
        self._cache_bytes, self._used = cache_mb * 2**20, 0
        self._open: OrderedDict[str, tuple[PreparedImage, Labels]] = OrderedDict()
        self._frames: dict[Path, Frame] = {}
        self._note = note

    @classmethod
    def of(
        cls, recipe: Recipe, registry: Registry, note: Callable[[str], None] = print
    ) -> PreparedImages:
        """As a recipe says."""
        data = recipe.data
        source = registry.get("datasets", data.dataset)
        options = [data.dataset, source.distribution, source.version, data.dataset_options]
        return cls(
            Preprocessing.of(recipe, registry),
            labels_digest=digest_json(options),
            folder=cache_folder(data.cache),
            cache_mb=data.cache_mb,
            note=note,
        )

    def load(self, sample: Sample) -> tuple[PreparedImage, Labels]:
        """The prepared image and the labels of a labelled sample.

        Raises:
            UnreadableImageError: the image cannot be read.
            HandboneError: the labels cannot be.
        """
        if sample.image_id in self._open:
            self._open.move_to_end(sample.image_id)
            return self._open[sample.image_id]
        entry = self.image(sample), self.labels(sample)
        self._open[sample.image_id] = entry
        self._used += _own_bytes(entry)
        while self._used > self._cache_bytes and len(self._open) > 1:
            _, oldest = self._open.popitem(last=False)
            self._used -= _own_bytes(oldest)
        return entry

    def image(self, sample: Sample) -> PreparedImage:
        """The prepared image, from the cache or made and kept there."""
        key = self.image_key(sample) if self._images else None
        kept = self._images.get(key) if self._images and key else None
        if kept is None:
            image = self.preprocessing(sample.read_image())
            self._keep(self._images, key, image.grey, asdict(image.frame))
            return image
        grey, facts = kept
        return PreparedImage(grey, Frame(**{name: tuple(value) for name, value in facts.items()}))

    def frame(self, sample: Sample) -> Frame:
        """The frame of a sample, from its header alone where its pixels have no say in it.

        Raises:
            UnreadableImageError: the image cannot be read.
        """
        if sample.path is None:
            return self.image(sample).frame
        if sample.path not in self._frames:
            size = read_size(sample.path)
            frame = self.preprocessing.frame_of(size) if size else None
            self._frames[sample.path] = frame or self.image(sample).frame
        return self._frames[sample.path]

    def labels(self, sample: Sample) -> Labels:
        """The labels, from the cache or read and kept there."""
        if sample.read_labels is None:
            raise ValueError(f"{sample.image_id} has no labels to train on")
        key = self._labels_key(sample) if self._labels else None
        kept = self._labels.get(key) if self._labels and key else None
        if kept is not None:
            return _unpack_labels(*kept)
        labels = sample.read_labels()
        self._keep(self._labels, key, *_pack_labels(labels))
        return labels

    def fault(self, sample: Sample) -> str | None:
        """What is wrong with the bytes of a sample's file, in a sentence, or None; no decoding."""
        if sample.path is None:
            return None
        try:
            found = self._files.get(sample.path).fault
        except HandboneError as error:
            return str(error)
        return f"{sample.path}: {found}." if found else None

    def image_key(self, sample: Sample) -> str | None:
        """The cache's key of an image: its content and the preprocessing; None: not to be kept."""
        content = self._files.get(sample.path).digest if sample.path else sample.key
        return digest_json(["image", content, self.preprocessing.digest]) if content else None

    def is_kept(self, sample: Sample) -> bool:
        """Whether the cache holds an image."""
        key = self.image_key(sample)
        return bool(self._images and key and self._images.get(key))

    def _labels_key(self, sample: Sample) -> str | None:
        content = sample.key
        if sample.labels_path:
            content = self._files.get(sample.labels_path, image=False).digest
        return digest_json([sample.image_id, content, self._labels_digest]) if content else None

    def _keep(
        self,
        cache: ArrayCache | None,
        key: str | None,
        array: NDArray[Any],
        facts: dict[str, Any],
    ) -> None:
        """Write to the cache; where that fails, go on without, and say it once."""
        if cache is None or key is None:
            return
        try:
            require_room(cache.folder, array.nbytes)
            cache.put(key, array, facts)
        except HandboneError as error:
            self._images = self._labels = None
            self._note(f"prepared images are not kept: {error}")


@dataclass(frozen=True)
class Kept:
    """What became of one image: whether it had to be made, or why it could not be."""

    made: bool = False
    fault: str | None = None


@dataclass(frozen=True)
class KeepInCache:
    """Puts one sample's image and labels into the cache; picklable, for processes of their own.

    Raises:
        HandboneError: the cache cannot be written.
    """

    images: PreparedImages

    def __call__(self, sample: Sample) -> Kept:
        """Nothing to do where the cache has it."""
        try:
            fault = self.images.fault(sample)
            there = fault is None and self.images.is_kept(sample)
            if fault is None:
                self.images.image(sample)
                if sample.read_labels is not None:
                    self.images.labels(sample)
        except HandboneError as error:
            fault = str(error)
        if fault is None and not self.images.is_kept(sample) and self.images.image_key(sample):
            raise HandboneError("the cache cannot be written; free some space, then run it again.")
        return Kept(made=fault is None and not there, fault=fault)


def _own_bytes(entry: tuple[PreparedImage, Labels]) -> int:
    """Bytes of RAM; what is mapped from disk costs none."""
    image, labels = entry
    arrays: list[NDArray[Any]] = [image.grey]
    if isinstance(labels, PackedMask):
        arrays.append(labels.planes)
    else:
        arrays += [outline for outlines in labels.values() for outline in outlines]
    return sum(array.nbytes for array in arrays if not _is_mapped(array))


def _is_mapped(array: NDArray[Any]) -> bool:
    base: Any = array
    while base is not None:
        if isinstance(base, np.memmap):
            return True
        base = getattr(base, "base", None)
    return False


def _pack_labels(labels: Labels) -> tuple[NDArray[Any], dict[str, Any]]:
    """Outlines end to end as (n, 2) with their classes and lengths, or the planes of a mask."""
    if isinstance(labels, PackedMask):
        return labels.planes, {"classes": labels.classes}
    outlines = [(index, outline) for index, found in labels.items() for outline in found]
    points = [outline for _, outline in outlines]
    joined = np.concatenate(points) if points else np.zeros((0, 2), np.float32)
    return joined, {"outlines": [[index, len(outline)] for index, outline in outlines]}


def _unpack_labels(array: NDArray[Any], facts: dict[str, Any]) -> Labels:
    if "classes" in facts:
        return PackedMask(array, facts["classes"])
    labels: dict[int, list[NDArray[np.float32]]] = {}
    start = 0
    for index, length in facts["outlines"]:
        labels.setdefault(index, []).append(array[start : start + length])
        start += length
    return labels
