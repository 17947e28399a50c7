"""Submissions: the CSV of image_name, class, rle that a competition takes: write, read, verify."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

from handbone_cli.errors import HandboneError, closest
from handbone_cli.files import atomic_write
from handbone_cli.masks import EMPTY, PackedMask
from handbone_cli.results import rle
from handbone_cli.results.submission_rows import COLUMNS, Row, read_rows, text_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

Sizes: TypeAlias = "Mapping[str, tuple[int, int]] | tuple[int, int]"
"""(H, W) of every image id, or of all images."""

NAMED = 3  # how many classes a sentence names before it says "and n more"


def write_submission(
    path: Path,
    image_ids: Sequence[str],
    class_names: Sequence[str],
    masks: Callable[[str], PackedMask],
    *,
    suffix: str = ".png",
    report: Callable[[int, int], None] | None = None,
) -> None:
    """Write one row per image and class, images in the given order, classes in class order.

    Args:
        path: the CSV; gzipped if it ends in .gz. It appears whole or not at all.
        image_ids: names without suffix.
        class_names: the C classes of every mask.
        masks: image id -> its mask; called once an image, one mask is in memory at a time.
        suffix: what `image_name` has after the image id.
        report: called with (images done, images in all).

    Raises:
        HandboneError: a mask has another number of classes, or the file cannot be written.
    """
    with atomic_write(path) as file, text_writer(file, packed=path.suffix == ".gz") as text:
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        for done, image_id in enumerate(image_ids, start=1):
            mask = masks(image_id)
            _require_classes(mask, image_id, class_names)
            texts = rle.encode_all(mask)
            pairs = zip(class_names, texts, strict=True)
            rows.writerows((image_id + suffix, name, text) for name, text in pairs)
            if report is not None:
                report(done, len(image_ids))


def _require_classes(mask: PackedMask, image_id: str, class_names: Sequence[str]) -> None:
    if mask.classes != len(class_names):
        found = f"the mask of image '{image_id}' has {mask.classes} classes"
        raise HandboneError(f"{found}; expected {len(class_names)}.")


class SubmissionMasks:
    """The masks of a submission, decoded one image at a time.

    Attributes:
        path: the file.
        image_ids: the images, as they first appear in the file.
        class_names: the C classes in the order of every mask.
        ordered: whether the rows go by image and then by class, one of each.
    """

    def __init__(
        self, path: Path, sizes: Sizes | None = None, class_names: Sequence[str] | None = None
    ) -> None:
        """Read a CSV (also gzipped) whole; its RLEs are decoded when an image is asked for.

        Args:
            path: the CSV; columns in any order, further columns are ignored.
            sizes: (H, W) of each image id, or of all images; None: only `decode` will be called.
            class_names: the classes and their order; by default as they first appear in the file.

        Raises:
            HandboneError: one sentence that names the file and the line: a missing column, a row
                that is too short, an unknown class or image, a row that stands twice.
        """
        rows = read_rows(path)
        self.path = path
        self.class_names = tuple(class_names or dict.fromkeys(row.class_name for row in rows))
        self.image_ids = tuple(dict.fromkeys(row.image_id for row in rows))
        self._sizes = sizes
        self._rows: dict[tuple[str, str], Row] = {}
        known = set(self.class_names)
        for row in rows:
            self._require_known(row, known)
            self._rows[row.image_id, row.class_name] = row
        self.ordered = list(self._rows) == [
            (image_id, name) for image_id in self.image_ids for name in self.class_names
        ]

    def _require_known(self, row: Row, known: set[str]) -> None:
        where = f"{self.path}, line {row.line}"
        twice = self._rows.get((row.image_id, row.class_name))
        if row.class_name not in known:
            hint = closest(row.class_name, known)
            raise HandboneError(f"{where}: no class is called '{row.class_name}'. {hint}")
        if isinstance(self._sizes, Mapping) and row.image_id not in self._sizes:
            raise HandboneError(f"{where}: image '{row.image_id}' is none of the images given.")
        if twice is not None:
            what = f"{row.class_name} of image '{row.image_id}'"
            raise HandboneError(f"{where}: {what} stands in line {twice.line} already.")

    def size(self, image_id: str) -> tuple[int, int]:
        """(H, W) of an image."""
        if self._sizes is None:
            raise ValueError("no sizes were given")
        return self._sizes[image_id] if isinstance(self._sizes, Mapping) else self._sizes

    def mask(self, image_id: str) -> PackedMask:
        """The mask of an image; see `decode`."""
        return self.decode(image_id, self.size(image_id))

    def decode(self, image_id: str, size: tuple[int, int]) -> PackedMask:
        """The mask of an image of (H, W) pixels; a class without a row is nowhere in it.

        Raises:
            HandboneError: an RLE is wrong (names file and line), or no row is of that image.
        """
        mask = PackedMask.empty(size, len(self.class_names))
        rows = [self._rows.get((image_id, name)) for name in self.class_names]
        if not any(rows):
            raise HandboneError(_no_row(self.path, image_id))
        for index, row in enumerate(rows):
            if row is not None:
                self._draw(mask, index, row)
        return mask

    def _draw(self, mask: PackedMask, index: int, row: Row) -> None:
        try:
            rle.add(mask, index, row.rle)
        except ValueError as error:
            where = f"{self.path}, line {row.line}: {row.class_name} of image '{row.image_id}'"
            raise HandboneError(f"{where}: {error}") from error

    def problems(self, image_ids: Iterable[str] | None = None) -> list[str]:
        """What the file lacks or has too much, one sentence an image; [] if it is complete.

        Args:
            image_ids: the images it should have; those it has by default.
        """
        expected = list(dict.fromkeys(self.image_ids if image_ids is None else image_ids))
        surplus = set(self.image_ids) - set(expected)
        lacks = [sentence for name in expected for sentence in self._lacks(name)]
        return lacks + [
            f"{self.path}: image '{name}' should not be there."
            for name in self.image_ids
            if name in surplus
        ]

    def _lacks(self, image_id: str) -> list[str]:
        names = [name for name in self.class_names if (image_id, name) not in self._rows]
        if not names:
            return []
        if len(names) == len(self.class_names):
            return [_no_row(self.path, image_id)]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        listing = ", ".join(names[:NAMED]) + more
        return [f"{self.path}: there is no row for {listing} of image '{image_id}'."]


def _no_row(path: Path, image_id: str) -> str:
    return f"{path}: there is no row for image '{image_id}'."


def verify_submission(
    path: Path,
    image_ids: Sequence[str],
    class_names: Sequence[str],
    masks: Callable[[str], PackedMask],
) -> None:
    """Read a submission again: it is complete, in order, and every mask is there bit for bit.

    Args:
        path: the CSV.
        image_ids: the images it must have, in this order.
        class_names: the classes it must have, in this order.
        masks: image id -> the mask it must decode to; called once an image.

    Raises:
        HandboneError: the first thing that differs, in one sentence.
    """
    found = SubmissionMasks(path, class_names=class_names)
    for sentence in found.problems(image_ids):
        raise HandboneError(sentence)
    if found.image_ids != tuple(image_ids) or not found.ordered:
        raise HandboneError(f"{path}: its rows are not in the order of the images and classes.")
    for image_id in image_ids:
        mask = masks(image_id)
        _require_classes(mask, image_id, class_names)
        wrong = found.decode(image_id, mask.size).planes ^ mask.planes
        if wrong.any():
            boxes = PackedMask(wrong, mask.classes).boxes()
            names = [name for name, box in zip(class_names, boxes, strict=True) if box != EMPTY]
            what = f"the mask of image '{image_id}' differs in {', '.join(names)}"
            raise HandboneError(f"{path}: {what}.")
