"""Statistics at rest: counted once an image in processes, kept by content, read class by class."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

import numpy as np

from handbone_cli.decision.statistics import tabulate
from handbone_cli.errors import HandboneError
from handbone_cli.files import digest_json, file_digest, write_bytes
from handbone_cli.masks import EMPTY, PackedMask, clip_box
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.store import image_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from handbone_cli.decision.statistics import BoneTable
    from handbone_cli.masks import Box, LabelSource
    from handbone_cli.store.store import Store

FORMAT = 1
"""Of the files; part of their names."""
IMAGES_A_JOB = 4
"""A job carries the labels' source to its process, so a few images share one."""
Range: TypeAlias = "tuple[float, float]"
Batch: TypeAlias = "Sequence[ImageJob]"
Job = TypeVar("Job")
Result = TypeVar("Result")


class MapJobs(Protocol):
    """Does work on jobs, in processes or not."""

    def __call__(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> Iterator[Result]:
        """The results in the order of the jobs; what is given must be picklable."""


@dataclass(frozen=True)
class ImageJob:
    """An image to count.

    Attributes:
        image_id: in the stores and the labels.
        size: (H, W).
        parts: a member's file and its SHA-256, or '' where nobody wrote it down; M of them.
    """

    image_id: str
    size: tuple[int, int]
    parts: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class Tabulation:
    """Counts images and keeps what it counted, for any number of processes at once.

    A file's name is made of all that it depends on: the members' probabilities in their order, the
    labels' pixels and the thresholds. One that is there is not made again.

    Attributes:
        labels: the truth.
        thresholds: (lowest, highest) that must be exact.
        folder: where the files are kept.
    """

    labels: LabelSource
    thresholds: Range
    folder: Path

    def __call__(self, batch: Batch) -> list[Path]:
        """The file of every image of a batch."""
        return [self._file(job) for job in batch]

    def _file(self, job: ImageJob) -> Path:
        truth = self.labels.mask(job.image_id, job.size)
        if truth.size != job.size:
            raise HandboneError(
                f"{job.image_id}: the stores are {job.size}, the labels {truth.size} px."
            )
        boxes = truth.boxes()
        members = [sha256 or file_digest(path) for path, sha256 in job.parts]
        content = [FORMAT, members, _digest_mask(truth, boxes), self.thresholds]
        key = digest_json(content)
        path = self.folder / key[:2] / f"{key}.tuples"
        if not path.exists():
            stored = [BoxedProbabilities.load(part) for part, _ in job.parts]
            limits = self.thresholds
            bones = [tabulate(stored, truth, c, limits, box) for c, box in enumerate(boxes)]
            save(path, bones, _shared_areas(truth, boxes))
        return path


def jobs_of(stores: Sequence[Store], image_ids: Sequence[str]) -> list[ImageJob]:
    """What is to be counted."""
    first = stores[0].images
    return [
        ImageJob(
            name,
            (first[name].height, first[name].width),
            tuple((image_file(s.path, name), s.images[name].npz_sha256) for s in stores),
        )
        for name in image_ids
    ]


def count_images(
    jobs: Sequence[ImageJob],
    work: Tabulation,
    map_jobs: MapJobs,
    report: Callable[[int, int], None],
) -> list[Path]:
    """The files of all images in their order, made where they are not there yet.

    Args:
        jobs: the images.
        work: counts a batch of them.
        map_jobs: (work, batches) -> the results in order; maps in processes, or not.
        report: told the images done and their total.
    """
    batches = [jobs[at : at + IMAGES_A_JOB] for at in range(0, len(jobs), IMAGES_A_JOB)]
    files: list[Path] = []
    for made in map_jobs(work, batches):
        files += made
        report(len(files), len(jobs))
    return files


def row_type(members: int) -> np.dtype[Any]:
    """A distinct tuple: M probabilities, its pixels inside and outside the truth."""
    return np.dtype([("q", "u1", (members,)), ("inside", "<u4"), ("outside", "<u4")])


def save(path: Path, bones: Sequence[BoneTable], shared: NDArray[np.int64]) -> None:
    """Write one image's tables: four arrays as `numpy.save` writes them, one behind the other.

    They are the first row of every class (C + 1,), its constants (C, 3 + 2 M) (bone and not bone
    that is always taken, truth, sums of q over the bone, over all), the pixels that two classes
    share (C, C), and the rows.
    """
    count = len(bones[0].members)
    starts = np.cumsum([0, *(len(bone.inside) for bone in bones)], dtype=np.int64)
    constants = np.array(
        [[*bone.always, bone.truth, *bone.sums.ravel().tolist()] for bone in bones], np.int64
    )
    rows = np.empty(starts[-1], row_type(count))
    for bone, start, stop in zip(bones, starts[:-1], starts[1:], strict=True):
        part = rows[start:stop]
        part["q"] = np.stack(bone.members, axis=1)
        part["inside"], part["outside"] = bone.inside, bone.outside
    content = io.BytesIO()  # numpy writes to a file by itself and does not say that a disk is full
    for array in (starts, constants, shared, rows):
        np.save(content, array, allow_pickle=False)
    write_bytes(path, content.getvalue())


@dataclass(frozen=True, eq=False)
class ImageFile:
    """Where one image's tables lie: read class by class, the rest stays on the disk.

    Attributes:
        path: the file.
        starts: (C + 1,) first row of every class.
        constants: (C, 3 + 2 M), as `save` says.
        shared: (C, C) pixels that two classes share in the truth.
        offset: of the rows in the file, bytes.
    """

    path: Path
    starts: NDArray[np.int64]
    constants: NDArray[np.int64]
    shared: NDArray[np.int64]
    offset: int

    @classmethod
    def open(cls, path: Path) -> ImageFile:
        """Read all but the rows.

        Raises:
            HandboneError: the file is gone or torn.
        """
        try:
            with path.open("rb") as file:
                starts, constants, shared = (np.load(file, allow_pickle=False) for _ in range(3))
                np.lib.format.read_magic(file)
                np.lib.format.read_array_header_1_0(file)
                return cls(path, starts, constants, shared, file.tell())
        except (OSError, ValueError, EOFError) as error:
            raise _unreadable(path, str(error)) from error

    @property
    def row_type(self) -> np.dtype[Any]:
        """Of its rows."""
        return row_type((self.constants.shape[1] - 3) // 2)

    def rows(self, index: int) -> NDArray[Any]:
        """The rows of one class."""
        start, stop = int(self.starts[index]), int(self.starts[index + 1])
        place = self.offset + start * self.row_type.itemsize
        found = np.fromfile(self.path, self.row_type, stop - start, offset=place)
        if len(found) < stop - start:
            raise _unreadable(self.path, "it is cut off")
        return found


def _unreadable(path: Path, reason: str) -> HandboneError:
    return HandboneError(
        f"{path}: not readable statistics ({reason}); delete that file and run it again."
    )


def _digest_mask(mask: PackedMask, boxes: Sequence[Box]) -> str:
    """Names the pixels of a mask: every class in its box."""
    found = hashlib.sha256(repr((mask.size, boxes)).encode())
    for index, box in enumerate(boxes):
        found.update(np.packbits(mask.crop(index, box)).data)
    return found.hexdigest()


def _shared_areas(truth: PackedMask, boxes: Sequence[Box]) -> NDArray[np.int64]:
    """Pixels that two classes share, above the diagonal: (C, C)."""
    shared = np.zeros((truth.classes, truth.classes), np.int64)
    for a, first in enumerate(boxes):
        for b in range(a + 1, truth.classes):
            box = clip_box(first, boxes[b])
            if box != EMPTY:
                shared[a, b] = np.count_nonzero(truth.crop(a, box) & truth.crop(b, box))
    return shared
