"""Everything of a store read again: what is torn, changed, missing or does not belong there."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.files import digest, read_bytes
from handbone_cli.masks import EMPTY
from handbone_cli.store.boxes import BAD_ZIP, FLOOR
from handbone_cli.store.journal import journal_of, parts_of
from handbone_cli.store.lock import lock_of, writer_of
from handbone_cli.store.store import MANIFEST, StoreWriter, image_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.store.store import ImageEntry, Store


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        path: the file.
        what: what is wrong with it, and what to do where nothing makes it again.
        image_id: the image to forget and make again; None for what belongs to no image.
    """

    path: Path
    what: str
    image_id: str | None = None

    def __str__(self) -> str:
        return f"{self.path}: {self.what}."


def verify(store: Store, report: Callable[[int, int], None]) -> list[Fault]:
    """Read every file of a store; gives the faults in the order of its images.

    Args:
        store: opened.
        report: called with (images done, images in all).
    """
    faults = []
    for done, (image_id, entry) in enumerate(store.images.items(), start=1):
        path = image_file(store.path, image_id)
        what = _fault_of_image(path, entry, store)
        if what is not None:
            faults.append(Fault(path, what, image_id))
        report(done, len(store.images))
    return [*faults, *_faults_of_folder(store)]


def _fault_of_image(path: Path, entry: ImageEntry, store: Store) -> str | None:
    if not path.exists():
        return "missing"
    try:
        content = read_bytes(path)
    except HandboneError as error:
        return str(error).removeprefix(f"{path}: ").rstrip(".")
    if entry.npz_bytes not in {None, len(content)}:
        return f"{len(content)} bytes; {entry.npz_bytes} were written"
    if entry.npz_sha256 not in {"", digest(content)}:
        return "its content is not what was written (another SHA-256)"
    said = store.manifest.get("floor")
    floor = said if isinstance(said, int) else FLOOR
    return fault_of_content(content, len(store.class_names), (entry.height, entry.width), floor)


def fault_of_content(content: bytes, classes: int, size: tuple[int, int], floor: int) -> str | None:
    """What is wrong with an image's .npz, or None.

    Args:
        content: of the file.
        classes: C of the store.
        size: (H, W) by the manifest.
        floor: q from 1 to this must not be there.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            members = dict(file)
    except (OSError, ValueError, TypeError, LookupError, EOFError, RuntimeError, *BAD_ZIP) as error:
        return f"not a readable .npz ({error})"
    expected = {"size", "boxes", *(f"q{index}" for index in range(classes))}
    odd = sorted(expected ^ set(members))
    if odd:
        how = "lacks" if odd[0] in expected else "should not have"
        return f"it {how} the array '{odd[0]}' (a store of {classes} classes)"
    return _fault_of_boxes(members, size) or next(
        filter(None, (_fault_of_class(members, index, floor) for index in range(classes))), None
    )


def _fault_of_boxes(members: Mapping[str, NDArray[Any]], size: tuple[int, int]) -> str | None:
    sides, boxes = members["size"], members["boxes"]
    if sides.shape != (2,) or sides.tolist() != list(size):
        return f"it is of an image of {sides.tolist()} pixels; the manifest says {list(size)}"
    classes = len(members) - 2
    if boxes.dtype != np.int32 or boxes.shape != (classes, 4):
        return f"boxes are {boxes.dtype} {boxes.shape}; expected int32 ({classes}, 4)"
    y0, y1, x0, x1 = boxes.T
    inside = (y0 >= 0) & (y0 < y1) & (y1 <= size[0]) & (x0 >= 0) & (x0 < x1) & (x1 <= size[1])
    wrong = np.flatnonzero(~inside & (boxes != EMPTY).any(axis=1))
    if len(wrong):
        return f"the box of class {wrong[0]} leaves the image: {boxes[wrong[0]].tolist()}"
    return None


def _fault_of_class(members: Mapping[str, NDArray[Any]], index: int, floor: int) -> str | None:
    y0, y1, x0, x1 = members["boxes"][index]
    crop = members[f"q{index}"]
    if crop.dtype != np.uint8 or crop.shape != (y1 - y0, x1 - x0):
        expected = f"uint8 ({y1 - y0}, {x1 - x0})"
        return f"q{index} is {crop.dtype} {crop.shape}; expected {expected}, as its box"
    if ((crop > 0) & (crop <= floor)).any():
        return f"q{index} has values from 1 to {floor}, which a store does not keep"
    return None


def _faults_of_folder(store: Store) -> Iterator[Fault]:
    """Files that belong to nothing."""
    known = {image_file(store.path, image_id) for image_id in store.images}
    known.add(store.path / MANIFEST)
    for part in (0, *parts_of(store.path)):
        known |= {journal_of(store.path, part).path, lock_of(store.path, part)}
    waiting = {image_file(store.path, name) for name in store.manifest.get("order", ())}
    is_written = writer_of(store.path) is not None
    for path in sorted(store.path.rglob("*")):
        if path in known or path.is_dir():
            continue
        if is_leftover(path) or path in waiting:
            if not is_written:  # else it may be done in a moment
                yield Fault(path, "left by a write that was cut short, and not in the manifest")
        else:
            yield Fault(path, "belongs to no image of the store; delete it, or move it elsewhere")


def forget(store: Store, faults: Iterable[Fault]) -> list[Fault]:
    """Drop the images of these faults, and what writes left; gives the faults that stay.

    Raises:
        HandboneError: another process writes the store.
    """
    kept = []
    with StoreWriter.reopen(store.path) as writer:
        for fault in faults:
            if fault.image_id is not None:
                writer.forget(fault.image_id)
            elif is_leftover(fault.path):
                fault.path.unlink(missing_ok=True)
            else:
                kept.append(fault)
    return kept


def is_leftover(path: Path) -> bool:
    """Whether a file is one that a store's write left half done."""
    hidden = path.name.startswith(".") and path.suffix == ".tmp"
    return hidden and (".npz." in path.name or f".{MANIFEST}." in path.name)
