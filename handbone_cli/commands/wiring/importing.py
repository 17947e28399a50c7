"""What `hb store import` is given: files by image id, and what is known of their images."""

from __future__ import annotations

import glob
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from handbone_cli.commands.wiring.datasets import (
    all_samples,
    dataset_reference,
    open_named_dataset,
)
from handbone_cli.errors import HandboneError, closest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.store.importing import ArrayForm
    from handbone_cli.store.store import Store, StoreWriter

Size: TypeAlias = "tuple[int, int]"
MOST_FAULTS = 5
"""Files that cannot be read before no more are tried."""


class KnownImage(NamedTuple):
    """What is known of an image besides its probabilities; (H, W) is read when asked for."""

    person: str
    source: str | None
    sha256: str
    size: Callable[[], Size | None]


class Incoming(NamedTuple):
    """One image to import: its id, the file it comes from, and how it is read at a size."""

    image_id: str
    path: Path
    read: Callable[[Size | None], BoxedProbabilities]


@dataclass(frozen=True)
class Known:
    """What --labels and --like say.

    Attributes:
        class_names: of the dataset or the store; () where neither is given.
        images: by id.
        labels: the dataset that has the truth, for the manifest.
        is_whole: no image but these may come.
    """

    class_names: tuple[str, ...] = ()
    images: Mapping[str, Callable[[], KnownImage]] = field(default_factory=dict)
    labels: Mapping[str, Any] | None = None
    is_whole: bool = False

    def image(self, image_id: str) -> KnownImage:
        """What is known of an image; by itself, it is a person of its own."""
        return self.images.get(image_id, _alone(image_id, None))()


def known_by(labels: str | None, like: str | None, registry: Registry) -> Known:
    """What a dataset (--labels), a store or a recipe's dataset (--like) knows of the images."""
    from handbone_cli.store.store import MANIFEST, Store

    if labels is not None:
        dataset = open_named_dataset(labels, registry)
        found = {s.image_id: _of_sample(s) for s in all_samples(dataset)}
        return Known(dataset.class_names, found, _reference(labels, registry), is_whole=True)
    if like is None:
        return Known()
    if (Path(like) / MANIFEST).exists():
        store = Store.open(Path(like))
        found = {image_id: _of_entry(store, image_id) for image_id in store.images}
        return Known(store.class_names, found, store.manifest.get("labels"))
    return Known(open_named_dataset(like, registry).class_names)


def _reference(named: str, registry: Registry) -> dict[str, Any]:
    """What the manifest says of a dataset; its root holds wherever `hb` is run."""
    from handbone_cli.recipe.load import load_recipe

    if Path(named).is_dir():
        return {"dataset": "competition", "root": str(Path(named).resolve()), "options": {}}
    return dataset_reference(load_recipe(named, registry))


def _of_sample(sample: Sample) -> Callable[[], KnownImage]:
    def size() -> Size:
        height, width = sample.read_image().shape[:2]
        return height, width

    def known() -> KnownImage:
        from handbone_cli.commands.wiring.datasets import content_of

        source = str(sample.path.resolve()) if sample.path else None
        return KnownImage(sample.person, source, content_of(sample), size)

    return known


def _of_entry(store: Store, image_id: str) -> Callable[[], KnownImage]:
    entry = store.images[image_id]
    size = (entry.height, entry.width)
    return lambda: KnownImage(entry.person, entry.source, entry.sha256, lambda: size)


def require_same_classes(named: Sequence[str], known: Known) -> None:
    """Refuse names that are not those of the dataset or the store, in their order."""
    if known.class_names and tuple(named) != known.class_names:
        raise HandboneError(
            f"the classes given ({len(named)}: {', '.join(named[:3])}, ...) are not those of "
            f"--labels or --like ({len(known.class_names)}: {', '.join(known.class_names[:3])}, "
            "...), in their order."
        )


def find_arrays(words: Sequence[str]) -> list[Path]:
    """The .npy and .npz files of files, folders and globs.

    Raises:
        HandboneError: there is none, or two would be one image.
    """
    files = [file for word in words for file in _files_of(word)]
    first: dict[str, Path] = {}
    for file in files:
        if first.setdefault(file.stem, file) != file:
            raise HandboneError(
                f"{first[file.stem]} and {file}: both are image '{file.stem}'; import one of them."
            )
    return list(first.values())


def _files_of(word: str) -> list[Path]:
    from handbone_cli.store.array_files import MAGIC

    path = Path(word)
    if path.is_dir():
        files = sorted(each for each in path.iterdir() if each.suffix.lower() in MAGIC)
        if not files:
            raise HandboneError(f"{path}: no .npy or .npz file in this folder.")
        return files
    named = [path] if path.exists() else sorted(map(Path, glob.glob(word, recursive=True)))  # noqa: PTH207  a pattern, not a path
    for each in named:
        if each.suffix.lower() not in MAGIC:
            raise HandboneError(f"{each}: expected .npy, .npz, or one .csv or .csv.gz by itself.")
    if not named:
        raise HandboneError(
            f"{word}: no such file, folder or match; expected .npy or .npz files, or a CSV of RLEs."
        )
    return named


def from_arrays(paths: Sequence[Path], classes: int, form: ArrayForm) -> list[Incoming]:
    """The images of files that hold arrays."""
    from handbone_cli.store.importing import read_probabilities

    def reader(path: Path) -> Callable[[Size | None], BoxedProbabilities]:
        return lambda size: read_probabilities(path, classes, form, size)

    return [Incoming(path.stem, path, reader(path)) for path in paths]


def from_csv(path: Path, class_names: Sequence[str]) -> tuple[list[Incoming], tuple[str, ...]]:
    """The images of a CSV of RLEs, and its classes."""
    from handbone_cli.results.submission import SubmissionMasks
    from handbone_cli.store.importing import from_masks

    masks = SubmissionMasks(path, None, class_names or None)

    def reader(image_id: str) -> Callable[[Size | None], BoxedProbabilities]:
        def read(size: Size | None) -> BoxedProbabilities:
            assert size is not None  # as `of_size` sees to
            return from_masks(masks.decode(image_id, size))

        return read

    return [Incoming(name, path, reader(name)) for name in masks.image_ids], masks.class_names


def of_size(known: Known, images: Sequence[Incoming], size: Size | None) -> Known:
    """What is known, and that all other images of a CSV are of (H, W).

    Raises:
        HandboneError: nobody says how large an image is.
    """
    unknown = [image for image in images if image.image_id not in known.images]
    if size is None and unknown:
        raise HandboneError(
            f"{unknown[0].path}: a CSV does not say how large image '{unknown[0].image_id}' is; "
            "use --size, --labels or --like."
        )
    alone = {i.image_id: _alone(i.image_id, size) for i in unknown}
    return replace(known, images={**known.images, **alone})


def _alone(image_id: str, size: Size | None) -> Callable[[], KnownImage]:
    return lambda: KnownImage(image_id, None, "", lambda: size)


def require_known(images: Sequence[Incoming], known: Known) -> None:
    """Refuse images that the dataset of --labels does not have."""
    strange = [image for image in images if image.image_id not in known.images]
    if known.is_whole and strange:
        hint = closest(strange[0].image_id, known.images).split(" Known:")[0]
        more = f" (and {len(strange) - 1} more)" if len(strange) > 1 else ""
        raise HandboneError(
            f"{strange[0].path}: image '{strange[0].image_id}'{more} is not in the dataset of "
            f"--labels. {hint if hint.startswith('Did') else 'A file is named as its image.'}"
        )


def fill(
    store: StoreWriter,
    images: Sequence[Incoming],
    known: Known,
    report: Callable[[int, int], None],
) -> tuple[int, list[str]]:
    """Import every image that the store does not have yet.

    Gives the images that are there in the end, and what is wrong with the others.
    """
    from handbone_cli.files import file_digest

    there, faults = 0, list[str]()
    digests: dict[Path, str] = {}
    report(0, len(images))
    for done, image in enumerate(images, start=1):
        if image.path not in digests:
            digests = {image.path: file_digest(image.path)}
        fault = _import(store, image, known.image(image.image_id), digests[image.path])
        if fault is None:
            there += 1
        else:
            faults.append(fault)
        report(done, len(images))
        if len(faults) == MOST_FAULTS and done < len(images):
            return there, [*faults, "No more were tried."]
    return there, faults


def _import(store: StoreWriter, image: Incoming, known: KnownImage, sha256: str) -> str | None:
    """Import an image unless it is there from the same bytes; gives what is wrong with its file."""
    from handbone_cli.store.store import ImageEntry

    if store.has(image.image_id, known.sha256, sha256):
        return None
    try:
        probabilities = image.read(known.size())
    except HandboneError as error:
        return str(error)
    height, width = probabilities.size
    entry = ImageEntry(
        known.person, height, width, known.source, known.sha256, seen=False, imported_sha256=sha256
    )
    store.write(image.image_id, probabilities, entry)
    return None
