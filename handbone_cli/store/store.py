"""A store on disk: manifest.json and one .npz an image, readable by numpy alone."""

from __future__ import annotations

import contextlib
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError, closest, differences
from handbone_cli.files import digest_json, make_folder, read_json, require, write_json
from handbone_cli.store.boxes import CORE, FLOOR, MARGIN, BoxedProbabilities, are_empty
from handbone_cli.store.journal import apply, changes_of, journal_of, parts_of
from handbone_cli.store.lock import LOCK, WriterLock, has_ended, lock_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from typing_extensions import Self

    from handbone_cli.store.journal import Journal

MANIFEST = "manifest.json"
IMAGES = "images"
FORMAT = 1
RUN_FACTS = "run.json"
"""Marks a run directory, which is easily given for its store."""
CROSS_VALIDATION_FACTS = "cross_validation.json"
"""Marks the folder of all folds' runs, in which a store lies."""


@dataclass(frozen=True)
class ImageEntry:
    """What the manifest says of one image.

    Attributes:
        person: images of one person belong together.
        height: pixels.
        width: pixels.
        source: the image file, if there is one.
        sha256: of that file's bytes; empty where there is no file.
        seen: whether the model was trained on this person, so that its masks prove nothing.
        imported_sha256: of the file that the probabilities were imported from; empty where `hb`
            predicted them.
        npz_bytes: of the store's own file; None in stores of before and of other programs.
        npz_sha256: of the store's own file; empty where nobody wrote it down.
    """

    person: str
    height: int
    width: int
    source: str | None
    sha256: str
    seen: bool
    imported_sha256: str = ""
    npz_bytes: int | None = None
    npz_sha256: str = ""


class Store:
    """An opened store, read-only."""

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path = path
        self.manifest = manifest
        self.class_names: tuple[str, ...] = tuple(manifest["class_names"])
        self.images = {name: ImageEntry(**entry) for name, entry in manifest["images"].items()}

    @classmethod
    def open(cls, path: Path) -> Store:
        """Open a store; one sentence if there is none, or it is of another format."""
        require(path, "a store (a folder that `hb predict -o` writes)")
        if not (path / MANIFEST).exists():
            raise HandboneError(f"{path}: not a store, {_what_it_is(path)}.")
        # The journals first: what the manifest takes in between is then read twice, not never.
        changes = changes_of(path, [0, *parts_of(path)])
        manifest = read_json(path / MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise HandboneError(f"{path / MANIFEST}: not a store manifest of format {FORMAT}.")
        missing = {"class_names", "images", "settings"} - set(manifest)
        if missing:
            raise HandboneError(f"{path / MANIFEST}: lacks {', '.join(sorted(missing))}.")
        try:
            return cls(path, {**manifest, "images": apply(changes, manifest["images"])})
        except (TypeError, AttributeError) as error:
            raise HandboneError(
                f"{path / MANIFEST}: an image's entry is wrong: {error}."
            ) from error

    @property
    def image_ids(self) -> list[str]:
        """The images in the order they were asked for; those not yet predicted are left out."""
        return [name for name in self.manifest.get("order", self.images) if name in self.images]

    @property
    def name(self) -> str:
        """What tables call the store."""
        return self.path.name

    def load(self, image_id: str, class_names: Sequence[str] | None = None) -> BoxedProbabilities:
        """The probabilities of one image, or of some of its classes in that order."""
        path = image_file(self.path, image_id)
        if class_names is None:
            return BoxedProbabilities.load(path)
        self.require_classes(class_names)
        return BoxedProbabilities.load(path, [self.class_names.index(n) for n in class_names])

    def is_empty(self, image_id: str) -> bool:
        """Whether no class is anywhere on an image; False, too, for a torn file."""
        return are_empty(image_file(self.path, image_id))

    def load_class(self, image_id: str, class_name: str) -> BoxedProbabilities:
        """The probabilities of one class of one image, as class 0; nothing else is read."""
        return self.load(image_id, [class_name])

    def require_classes(self, class_names: Sequence[str]) -> None:
        """Refuse a class that the store does not have."""
        for name in class_names:
            if name not in self.class_names:
                hint = closest(name, self.class_names)
                raise HandboneError(f"{self.path}: no class is called '{name}'. {hint}")

    def digest(self) -> str:
        """Names the content: settings, classes, and every image with the key it was made under."""
        images = {
            name: [e.person, e.sha256, *filter(None, [e.imported_sha256])]
            for name, e in self.images.items()
        }
        return digest_json([self.manifest["settings"], self.class_names, images])


class StoreWriter:
    """A store being written: image by image, continued where it stopped, by one writer at a time.

    An image's file is written first, then its line in the journal, so that no torn write is ever
    listed; `close` puts the journal into the manifest, and those of the processes that wrote beside
    this one (`StorePart`).
    """

    def __init__(
        self,
        path: Path,
        class_names: Sequence[str],
        settings: Mapping[str, Any],
        order: Sequence[str],
        labels: Mapping[str, Any] | None,
    ) -> None:
        """Create a store, or continue one of the same settings; it is locked until `close`.

        Args:
            path: the folder.
            class_names: C names.
            settings: everything that the probabilities depend on besides the images.
            order: the image ids in the order of files made from the store.
            labels: the dataset that has the truth (name, root, options), if any.

        Raises:
            HandboneError: the folder holds a store of other settings, or something else; another
                process writes it, or one that wrote it in several processes has left one behind.
        """
        self.path = path
        self._manifest: dict[str, Any] = {
            "format": FORMAT,
            "floor": FLOOR,
            "core": CORE,
            "margin": MARGIN,
            "class_names": list(class_names),
            "settings": dict(settings),
            "labels": dict(labels) if labels else None,
            "order": list(order),
            "images": {},
        }
        self._journal = journal_of(path)
        if not (path / MANIFEST).exists() and _is_foreign(path):
            raise HandboneError(f"{path}: the folder has files but no store; choose another -o.")
        make_folder(path / IMAGES)
        self._lock = WriterLock(path / LOCK)
        try:
            for part in parts_of(path):
                WriterLock(lock_of(path, part)).release()
            self._is_new = not (path / MANIFEST).exists()
            if not self._is_new:
                self._continue(Store.open(path))
            self._save()
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def reopen(cls, path: Path) -> StoreWriter:
        """Write on in a store as it is."""
        old = Store.open(path)
        order = old.manifest.get("order", list(old.images))
        settings, labels = old.manifest["settings"], old.manifest.get("labels")
        return cls(path, old.class_names, settings, order, labels)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _continue(self, old: Store) -> None:
        changed = differences(old.manifest["settings"], self._manifest["settings"])
        if list(old.class_names) != self._manifest["class_names"]:
            changed["class_names"] = "other classes"
        if changed:
            raise HandboneError(
                f"{self.path}: holds a store of another prediction: {', '.join(changed.values())}; "
                "predict as then to add to it, choose another -o, or delete it."
            )
        before = old.manifest.get("order", list(old.images))
        order = dict.fromkeys([*before, *self._manifest["order"]])
        labels = self._manifest["labels"] or old.manifest.get("labels")
        self._manifest |= {
            "images": dict(old.manifest["images"]), "order": list(order), "labels": labels,
        }  # fmt: skip

    def has(self, image_id: str, sha256: str, imported_sha256: str = "") -> bool:
        """Whether an image of just these bytes is done and its file is there and not cut off."""
        entry = self._manifest["images"].get(image_id)
        return is_done(self.path, image_id, entry, sha256, imported_sha256)

    def write(self, image_id: str, probabilities: BoxedProbabilities, entry: ImageEntry) -> None:
        """Add one image, or put another in its place."""
        noted = write_image(self.path, self._journal, image_id, probabilities, entry)
        self._manifest["images"][image_id] = noted

    def forget(self, image_id: str) -> None:
        """Drop an image and its file, so that it is made again."""
        self._journal.append(image_id, None)
        del self._manifest["images"][image_id]
        image_file(self.path, image_id).unlink(missing_ok=True)

    def close(self) -> None:
        """Write the manifest and let others write; a store that was begun for nothing goes away."""
        try:
            ended = self._take_in()
            empty = not self._manifest["images"] and not parts_of(self.path)
            if self._is_new and empty:
                with contextlib.suppress(OSError):  # something has come to lie there: it stays
                    (self.path / IMAGES).rmdir()
                    (self.path / MANIFEST).unlink()
                    self._journal.clear()
            elif ended or self._journal.path.exists():
                self._save()
        finally:
            self._lock.release()
        with contextlib.suppress(OSError):  # not empty: a store, or not ours alone
            self.path.rmdir()

    def _save(self) -> None:
        ended = self._take_in()
        write_json(self.path / MANIFEST, self._manifest)
        for part in (0, *ended):
            journal_of(self.path, part).clear()

    def _take_in(self) -> list[int]:
        """Add what was written beside this by processes that are over; gives their numbers."""
        ended = [part for part in parts_of(self.path) if has_ended(self.path, part)]
        images = apply(changes_of(self.path, ended), self._manifest["images"])
        # Whoever wrote them and when, in the order that they were asked for.
        order = dict.fromkeys([*self._manifest["order"], *images])
        self._manifest["images"] = {name: images[name] for name in order if name in images}
        return ended


def is_done(
    path: Path,
    image_id: str,
    entry: Mapping[str, Any] | None,
    sha256: str,
    imported_sha256: str = "",
) -> bool:
    """Whether an entry is of just these bytes, and the image's file is there and not cut off."""
    if entry is None or not (sha256 or imported_sha256):
        return False
    known = entry["sha256"], entry.get("imported_sha256", "")
    file = image_file(path, image_id)
    return known == (sha256, imported_sha256) and is_whole(file, entry.get("npz_bytes"))


def write_image(
    path: Path,
    journal: Journal,
    image_id: str,
    probabilities: BoxedProbabilities,
    entry: ImageEntry,
) -> dict[str, Any]:
    """Write an image's file, then its line; gives its entry."""
    size, sha256 = probabilities.save(image_file(path, image_id))
    noted = asdict(replace(entry, npz_bytes=size, npz_sha256=sha256))
    journal.append(image_id, noted)
    return noted


def _is_foreign(path: Path) -> bool:
    """Whether a folder has more in it than a writer leaves that was killed at its start."""
    if not path.is_dir():
        return False
    strange = [each for each in path.iterdir() if each.name not in {LOCK, IMAGES}]
    images = path / IMAGES
    return bool(strange) or (images.exists() and (not images.is_dir() or any(images.iterdir())))


def _what_it_is(path: Path) -> str:
    """What lies there in a store's stead, and the way to a store."""
    if path.is_file():
        return "but a file; expected a folder that `hb predict -o` writes"
    if (path / RUN_FACTS).exists():
        return f"but a run; `hb predict {path} -i val -o STORE` makes a store with it"
    if (path / CROSS_VALIDATION_FACTS).exists():
        return f"but a cross-validation; its store is {path / 'out_of_fold'}"
    return f"there is no {MANIFEST} in it"


def image_file(store: Path, image_id: str) -> Path:
    """Where a store keeps an image.

    Raises:
        HandboneError: an id that would lead out of the store.
    """
    parts = PurePosixPath(image_id)
    if not image_id or parts.is_absolute() or ".." in parts.parts:
        raise HandboneError(f"{store}: '{image_id}' cannot name an image; it leaves the store.")
    return store / "images" / f"{image_id}.npz"


def is_whole(path: Path, size: int | None) -> bool:
    """Whether an image's file is there and not cut off, by its size or, unknown, by its end."""
    try:
        found = path.stat().st_size
    except OSError:
        return False
    return found == size if size is not None else zipfile.is_zipfile(path)
