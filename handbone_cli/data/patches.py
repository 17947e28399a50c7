"""Samples to training patches: images prepared once, labels filled only where they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np

from handbone_cli.data import augmentation, geometry
from handbone_cli.data.images import find_fault
from handbone_cli.data.preprocessing import normalise, to_uint8
from handbone_cli.errors import HandboneError, UnreadableImageError
from handbone_cli.files import read_bytes
from handbone_cli.host.interfaces import Patch, PatchForm, RawPatch
from handbone_cli.masks import PackedMask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from handbone_cli.data.augmentation import PatchPlan
    from handbone_cli.data.prepared import PreparedImages
    from handbone_cli.data.preprocessing import Frame
    from handbone_cli.host.interfaces import Labels, Sample
    from handbone_cli.recipe.schema import Recipe

Read = TypeVar("Read")
PLAIN_PNG = (b"PNG", b"\x08\x00")
"""8 bits, grey: what the header says of depth and colour type (ISO/IEC 15948, 11.2.2)."""


class TrainingPatches:
    """The patches of a run: a PatchSource over labelled samples.

    An image that cannot be read is quarantined and the next sound one takes its place, so that an
    epoch keeps its length and every other patch its pixels.

    Args:
        samples: to draw from.
        images: prepares and keeps them.
        recipe: what is drawn.
        class_names: C names.
        mirror_pairs: names that a flip exchanges.
        draw: number -> a new sample in place of a fixed one, where the dataset is endless.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        images: PreparedImages,
        recipe: Recipe,
        class_names: Sequence[str],
        mirror_pairs: Iterable[tuple[str, str]] = (),
        draw: Callable[[int], Sample] | None = None,
    ) -> None:
        self._samples, self._images, self._recipe = samples, images, recipe
        self._classes = len(class_names)
        names = list(class_names)
        self._swaps = [(names.index(left), names.index(right)) for left, right in mirror_pairs]
        self._draw = draw
        self.faults: dict[str, str] = {}

    def __len__(self) -> int:
        """Patches in an epoch."""
        return len(self._samples) * self._recipe.train.patches_per_image

    @property
    def form(self) -> PatchForm:
        """What all its patches have in common."""
        data, augment = self._recipe.data, self._recipe.augment
        return PatchForm(
            side=data.patch,
            channels=self._images.preprocessing.channels,
            clahe=(data.clahe.clip_limit, data.clahe.tiles) if data.clahe else None,
            plugins=bool(self._images.preprocessing.steps),
            reduced=data.resize is not None,
            distorted=augment.elastic > 0 or augment.grid_distortion > 0,
            blurred=augment.blur > 0,
            toned=augment.gamma > 0 or augment.contrast > 0 or augment.brightness > 0,
            noisy=augment.noise > 0,
        )

    def patch(self, epoch: int, index: int) -> Patch:
        """The patch of a place in an epoch, a function of (seed, epoch, index) alone."""
        prepared, labels = self._sound(epoch, index, self._images.load)
        frame = prepared.frame
        plan, size = self._plan(epoch, index, frame)
        to_grey = geometry.compose(frame.to_reduced, plan.matrix)
        grey = geometry.warp(prepared.grey, to_grey, size, plan.displacement)
        grey = augmentation.apply_photometrics(grey, plan)
        image = normalise(grey, frame.mean, frame.std)
        return Patch(image, self._warp_labels(labels, frame, plan, size))

    def raw(self, epoch: int, index: int) -> RawPatch:
        """What that patch is made of, but for its pixels."""

        def read(sample: Sample) -> tuple[str, NDArray[np.uint8], Frame, Labels]:
            frame = self._images.frame(sample)
            return sample.image_id, encoded_grey(sample), frame, self._images.labels(sample)

        image_id, encoded, frame, labels = self._sound(epoch, index, read)
        plan, size = self._plan(epoch, index, frame)
        return RawPatch(
            image_id=image_id,
            encoded=encoded,
            labels=self._warp_labels(labels, frame, plan, size),
            block=frame.block,
            reduced=frame.reduced,
            matrix=geometry.compose(frame.to_reduced, plan.matrix),
            displacement=plan.displacement,
            blur=plan.blur,
            blur_window=augmentation.blur_window(plan.blur),
            gamma=plan.gamma,
            contrast=plan.contrast,
            brightness=plan.brightness,
            noise=augmentation.draw_noise(plan, size),
            mean=frame.mean[0],
            std=frame.std[0],
        )

    def quarantine(self, image_id: str, fault: str) -> None:
        """Take an image out for the rest of the run.

        Raises:
            HandboneError: no image is left.
        """
        self.faults[image_id] = fault
        if all(sample.image_id in self.faults for sample in self._samples):
            raise HandboneError(f"no image is left to train on; the last one's fault: {fault}")

    def _sound(self, epoch: int, index: int, read: Callable[[Sample], Read]) -> Read:
        """What `read` gives of the sample of a place, or of the next one that can be read."""
        count = len(self._samples)
        if self._draw is not None:
            return read(self._draw(epoch * count + index % count))
        for place in range(index, index + count):
            sample = self._samples[place % count]
            if sample.image_id in self.faults:
                continue
            try:
                return read(sample)
            except HandboneError as error:
                self.quarantine(sample.image_id, str(error))
        last = [*self.faults.values()][-1]
        raise HandboneError(f"no image is left to train on; the last one's fault: {last}")

    def _plan(self, epoch: int, index: int, frame: Frame) -> tuple[PatchPlan, tuple[int, int]]:
        size = (self._recipe.data.patch, self._recipe.data.patch)
        rng = augmentation.stream(self._recipe.seed, epoch, index)
        return augmentation.draw(rng, self._recipe.augment, frame.target, size), size

    def _warp_labels(
        self, labels: Labels, frame: Frame, plan: PatchPlan, size: tuple[int, int]
    ) -> NDArray[np.uint8]:
        planes = warp_labels(labels, frame, plan, size, self._classes)
        if plan.flipped and self._swaps:
            swap_classes(planes, self._swaps)
        return planes


def warp_labels(
    labels: Labels,
    frame: Frame,
    plan: PatchPlan,
    size: tuple[int, int],
    classes: int,
) -> NDArray[np.uint8]:
    """Fill or cut the labels in the source rectangle a patch needs, warp that: (h, w, P) uint8.

    Vertices are never warped: filling at the source's resolution keeps the annotators' pixels.
    """
    matrix = geometry.compose(frame.to_image, plan.matrix)
    reach = 2.0
    if plan.displacement is not None:
        reach += float(np.abs(plan.displacement).max() * np.abs(matrix[:, :2]).sum())
    box = geometry.source_rectangle(matrix, size, frame.size, reach)
    filled = PackedMask.from_labels(labels, frame.size, classes, box)
    inside = geometry.compose(geometry.translation(-box[2], -box[0]), matrix)
    planes = [
        geometry.warp(
            np.ascontiguousarray(filled.planes[..., start : start + 4]),
            inside,
            size,
            plan.displacement,
            nearest=True,
        )
        for start in range(0, filled.planes.shape[2], 4)
    ]
    return planes[0] if len(planes) == 1 else np.concatenate(planes, axis=2)


def swap_classes(planes: NDArray[np.uint8], pairs: Iterable[tuple[int, int]]) -> None:
    """Exchange the bits of pairs of classes in (h, w, P) packed planes, in place."""
    for first, second in pairs:
        places = [(index >> 3, np.uint8(index & 7)) for index in (first, second)]
        (plane_a, bit_a), (plane_b, bit_b) = places
        differ = ((planes[..., plane_a] >> bit_a) ^ (planes[..., plane_b] >> bit_b)) & np.uint8(1)
        planes[..., plane_a] ^= differ << bit_a
        planes[..., plane_b] ^= differ << bit_b


def encoded_grey(sample: Sample) -> NDArray[np.uint8]:
    """The bytes of an image as every decoder reads them alike.

    A JPEG or an 8-bit grey PNG as it is; everything else (16 bit, colour, DICOM, drawn images) as
    a PNG of its 8-bit grey, uncompressed. The bytes were checked when the image was prepared; they
    are checked again, since a file may change under a run.

    Raises:
        UnreadableImageError: the bytes are no whole image.
    """
    if sample.path is not None:
        content = read_bytes(sample.path)
        fault = find_fault(content)
        if fault:
            raise UnreadableImageError(f"{sample.path}: {fault}.")
        if content.startswith(b"\xff\xd8") or (content[1:4], content[24:26]) == PLAIN_PNG:
            return np.frombuffer(content, np.uint8)
    pixels = to_uint8(sample.read_image())
    done, packed = cv2.imencode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert done
    return np.asarray(packed, np.uint8).reshape(-1)
