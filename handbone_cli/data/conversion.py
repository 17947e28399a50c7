"""A copy of a dataset's images in another form: JPEG, or PNG with CLAHE in it; resumable."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np

from handbone_cli.data.preprocessing import equalise, to_uint8
from handbone_cli.errors import HandboneError
from handbone_cli.files import atomic_write, write_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Sample
    from handbone_cli.recipe.schema import Clahe

SETTINGS = "prepared.json"


@dataclass(frozen=True)
class Form:
    """What the copies are.

    Attributes:
        format: of the files; PNG loses nothing.
        quality: of JPEG, 1 to 100.
        clahe: baked in, or None.
    """

    format: Literal["png", "jpeg"] = "png"
    quality: int = 95
    clahe: Clahe | None = None

    @property
    def suffix(self) -> str:
        """Of the files."""
        return ".png" if self.format == "png" else ".jpg"

    def settings(self) -> dict[str, object]:
        """What a folder of copies says of them."""
        quality = {"quality": self.quality} if self.format == "jpeg" else {}
        clahe = self.clahe.model_dump() if self.clahe else None
        return {"format": self.format, **quality, "clahe": clahe}


@dataclass(frozen=True)
class Converted:
    """One copy.

    Attributes:
        image_id: whose.
        bytes_before: of the source file.
        bytes_after: of the copy.
        error: root mean square of what the copy lost, in grey levels; None where it was there.
        fault: why there is none.
    """

    image_id: str
    bytes_before: int = 0
    bytes_after: int = 0
    error: float | None = None
    fault: str | None = None


@dataclass(frozen=True)
class Conversion:
    """Copies images below `root` to the same places below `folder`; picklable."""

    root: Path
    folder: Path
    form: Form

    def target(self, sample: Sample) -> Path:
        """Where the copy of a sample belongs."""
        assert sample.path is not None
        below = sample.path.relative_to(self.root)
        return (self.folder / below).with_suffix(self.form.suffix)

    def __call__(self, sample: Sample) -> Converted:
        """Copy one image, unless it is there as its source is now."""
        assert sample.path is not None
        target = self.target(sample)
        before = sample.path.stat().st_size
        if is_current(target, sample.path):
            return Converted(sample.image_id, before, target.stat().st_size)
        try:
            grey = to_uint8(sample.read_image())
        except HandboneError as error:
            return Converted(sample.image_id, fault=str(error))
        if self.form.clahe:
            grey = equalise(grey, self.form.clahe)
        content = encode(grey, self.form)
        write_bytes(target, content)
        take_time(target, sample.path)
        kept = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_GRAYSCALE)
        lost = root_mean_square(grey, np.asarray(kept, np.uint8))
        return Converted(sample.image_id, before, len(content), lost)


def encode(grey: NDArray[np.uint8], form: Form) -> bytes:
    """(H, W) grey as the bytes of a file."""
    options = [cv2.IMWRITE_PNG_COMPRESSION, 3]
    if form.format == "jpeg":
        options = [cv2.IMWRITE_JPEG_QUALITY, form.quality]
    done, content = cv2.imencode(form.suffix, grey, options)
    assert done
    return content.tobytes()


def root_mean_square(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Root of the mean squared difference, in grey levels."""
    return float(np.sqrt(np.mean(np.square(one.astype(np.float32) - other))))


def copy_labels(root: Path, folder: Path, samples: Sequence[Sample]) -> Iterator[Path]:
    """Copy what lies below `root` beside the images (labels, tables), so that the copy is whole."""
    images = {sample.path for sample in samples}
    for path in sorted(root.rglob("*")):
        target = folder / path.relative_to(root)
        if path.is_dir() or path in images or path.name == SETTINGS or folder in path.parents:
            continue
        if not is_current(target, path):
            with path.open("rb") as source, atomic_write(target) as copy:
                shutil.copyfileobj(source, copy)
            take_time(target, path)
        yield target


def is_current(target: Path, source: Path) -> bool:
    """Whether a copy was made of the source as it is now: they have the same time of change."""
    return target.exists() and target.stat().st_mtime_ns == source.stat().st_mtime_ns


def take_time(target: Path, source: Path) -> None:
    """Give a copy its source's time of change."""
    os.utime(target, ns=(time.time_ns(), source.stat().st_mtime_ns))


def orphans(folder: Path, made: Iterable[Path]) -> list[Path]:
    """Files of a folder of copies whose source is gone."""
    known = {*made, folder / SETTINGS}
    return sorted(path for path in folder.rglob("*") if path.is_file() and path not in known)
