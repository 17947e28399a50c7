"""A store on disk: manifest.json and one .npz an image, readable by numpy alone."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError, differences
from handbone_cli.files import digest_json, make_folder, read_json, require, write_json
from handbone_cli.store.boxes import CORE, FLOOR, MARGIN, BoxedProbabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MANIFEST = "manifest.json"
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
    """

    person: str
    height: int
    width: int
    source: str | None
    sha256: str
    seen: bool


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
        manifest = read_json(path / MANIFEST)
        if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
            raise HandboneError(f"{path / MANIFEST}: not a store manifest of format {FORMAT}.")
        missing = {"class_names", "images", "settings"} - set(manifest)
        if missing:
            raise HandboneError(f"{path / MANIFEST}: lacks {', '.join(sorted(missing))}.")
        try:
            return cls(path, manifest)
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

    def load(self, image_id: str) -> BoxedProbabilities:
        """The probabilities of one image."""
        return BoxedProbabilities.load(image_file(self.path, image_id))

    def digest(self) -> str:
        """Names the content: settings, classes, and every image with the key it was made under."""
        images = {name: [e.person, e.sha256] for name, e in self.images.items()}
        return digest_json([self.manifest["settings"], self.class_names, images])


class StoreWriter:
    """A store being written: image by image, continued where it stopped."""

    def __init__(
        self,
        path: Path,
        class_names: Sequence[str],
        settings: Mapping[str, Any],
        order: Sequence[str],
        labels: Mapping[str, Any] | None,
    ) -> None:
        """Create a store, or continue one of the same settings.

        Args:
            path: the folder.
            class_names: C names.
            settings: everything that the probabilities depend on besides the images.
            order: the image ids in the order of files made from the store.
            labels: the dataset that has the truth (name, root, options), if any.

        Raises:
            HandboneError: the folder holds a store of other settings, or something else.
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
        self._is_new = not (path / MANIFEST).exists()
        if not self._is_new:
            self._continue(Store.open(path))
        elif path.is_dir() and any(path.iterdir()):
            raise HandboneError(f"{path}: the folder has files but no store; choose another -o.")
        make_folder(path / "images")
        self._save()

    def _continue(self, old: Store) -> None:
        changed = differences(old.manifest["settings"], self._manifest["settings"])
        if list(old.class_names) != self._manifest["class_names"]:
            changed["class_names"] = "other classes"
        if changed:
            raise HandboneError(
                f"{self.path}: holds a store of another prediction: {', '.join(changed.values())}; "
                "predict as then to add to it, choose another -o, or delete it."
            )
        order = dict.fromkeys([*old.manifest["order"], *self._manifest["order"]])
        self._manifest |= {"images": dict(old.manifest["images"]), "order": list(order)}

    def has(self, image_id: str, sha256: str) -> bool:
        """Whether an image of just these bytes is done and its file is there."""
        entry = self._manifest["images"].get(image_id)
        done = entry is not None and sha256 != "" and entry["sha256"] == sha256
        return done and image_file(self.path, image_id).exists()

    def write(self, image_id: str, probabilities: BoxedProbabilities, entry: ImageEntry) -> None:
        """Add one image: its file first, then the manifest, so no torn write is ever listed."""
        probabilities.save(image_file(self.path, image_id))
        self._manifest["images"][image_id] = asdict(entry)
        self._save()

    def remove_if_empty(self) -> None:
        """Take a store away again that this writer began and that has no image yet."""
        if self._is_new and not self._manifest["images"]:
            (self.path / MANIFEST).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # something else has come to lie there
                (self.path / "images").rmdir()
                self.path.rmdir()

    def _save(self) -> None:
        write_json(self.path / MANIFEST, self._manifest)


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
    """Where a store keeps an image."""
    return store / "images" / f"{image_id}.npz"
