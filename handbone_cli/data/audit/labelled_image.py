"""The labels of one image as every check sees them: outlines by class, the largest in front."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.data.audit.finding import Finding
from handbone_cli.masks import EMPTY, as_polygons, clip_box, union_box

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.host.interfaces import Labels, Sample
    from handbone_cli.masks import Box

SPECK = 0.005  # of a bone's largest part; smaller parts are left alone


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """Outlines of one image.

    Attributes:
        image_id: the image.
        person: whose it is.
        size: (H, W) in pixels.
        class_names: C names.
        parts: class -> outlines (n, 2) of x, y in pixel indices, the largest first.
    """

    image_id: str
    person: str
    size: tuple[int, int]
    class_names: tuple[str, ...]
    parts: dict[int, list[NDArray[np.float32]]]

    @classmethod
    def from_labels(
        cls, sample: Sample, labels: Labels, size: tuple[int, int], class_names: Sequence[str]
    ) -> LabelledImage:
        """Labels of either form; specks of a bone are left out."""
        parts = {}
        for index, outlines in as_polygons(labels).items():
            ordered = sorted(outlines, key=area_of, reverse=True)
            least = SPECK * area_of(ordered[0]) if ordered else 0.0
            kept = [outline for outline in ordered if area_of(outline) >= least]
            if kept:
                parts[index] = kept
        return cls(sample.image_id, sample.person, size, tuple(class_names), parts)

    @property
    def main(self) -> dict[int, NDArray[np.float32]]:
        """The outline of every class that has one."""
        return {index: parts[0] for index, parts in self.parts.items()}

    def index(self, name: str) -> int:
        """The class of a name."""
        return self.class_names.index(name)

    def finding(
        self, kind: str, bones: Sequence[str], score: float, says: str, box: Box | None = None
    ) -> Finding:
        """A finding about bones of this image, around their outlines if no box is given."""
        around = self.box(bones) if box is None else box
        return Finding(self.image_id, self.person, kind, tuple(bones), score, says, around)

    def box(self, bones: Iterable[str]) -> Box:
        """The part of the image that the outlines of some bones take."""
        classes = [self.index(name) for name in bones]
        outlines = [part for index in classes for part in self.parts.get(index, [])]
        return union_box(
            clip_box(box_of(part), (0, self.size[0], 0, self.size[1])) for part in outlines
        )

    def renamed(self, names: Mapping[int, int]) -> LabelledImage:
        """The same outlines under other classes, those not named staying."""
        parts = {names.get(index, index): outlines for index, outlines in self.parts.items()}
        return LabelledImage(self.image_id, self.person, self.size, self.class_names, parts)


def area_of(outline: NDArray[np.floating]) -> float:
    """Pixels squared inside an outline (n, 2)."""
    return float(cv2.contourArea(np.ascontiguousarray(outline, np.float32)))


def box_of(outline: NDArray[np.floating]) -> Box:
    """The pixels that an outline touches; it may leave the image."""
    low, high = np.floor(outline.min(axis=0)), np.ceil(outline.max(axis=0)) + 1
    return int(low[1]), int(high[1]), int(low[0]), int(high[0])


def filled(outline: NDArray[np.floating], box: Box, scale: float = 1.0) -> NDArray[np.bool_]:
    """Pixels of a box, drawn `scale` as large, that an outline covers."""
    y0, y1, x0, x1 = box
    shape = max(1, round((y1 - y0) * scale)), max(1, round((x1 - x0) * scale))
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [np.rint((outline - (x0, y0)) * scale).astype(np.int32)], (1,))
    return canvas.astype(bool)


def shared(
    one: NDArray[np.floating], other: NDArray[np.floating], most: int = 256
) -> tuple[float, float]:
    """IoU of two outlines, and the share of the smaller one that the larger one covers."""
    first, second = box_of(one), box_of(other)
    if clip_box(first, second) == EMPTY:
        return 0.0, 0.0
    box = union_box((first, second))
    scale = min(1.0, most / max(box[1] - box[0], box[3] - box[2]))
    a, b = filled(one, box, scale), filled(other, box, scale)
    both, one_px, other_px = (int(np.count_nonzero(part)) for part in (a & b, a, b))
    return both / max(one_px + other_px - both, 1), both / max(min(one_px, other_px), 1)
