"""Overlays: a radiograph with its bones in colour, a legend, and what differs from the truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.masks import EMPTY, union_box
from handbone_cli.results.legend import Entry, draw_legend, row_height
from handbone_cli.results.palette import colours
from handbone_cli.results.pictures import INK, Colour, Lettering, canvas
from handbone_cli.scores import dice, overlap_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import Box, PackedMask

MIN_SIDE = 640  # the longer side of a panel; a smaller image is drawn larger, pixel by pixel
LEAST_HEIGHT = 320  # of the picture below its title: room for a legend beside a wide image
WIDE = 1.5  # of a wider image the two panels stand one below the other
WEAK_DICE, WEAK_INK = 0.9, (255, 176, 84)
SHIFT = 4  # fractional bits of outline coordinates
AGREES, IS_EXTRA, IS_MISSED = 1, 2, 3
AGREEMENT: Colour = (52, 150, 150)
EXTRA: Colour = (255, 214, 64)
MISSED: Colour = (255, 92, 72)
KINDS = {AGREES: (AGREEMENT, 0.28), IS_EXTRA: (EXTRA, 0.92), IS_MISSED: (MISSED, 0.92)}


@dataclass(frozen=True)
class _Frame:
    """From image pixels to the pixels of a panel.

    Attributes:
        size: (H, W) of the image.
        panel: (height, width) of the panel.
    """

    size: tuple[int, int]
    panel: tuple[int, int]

    @classmethod
    def fit(cls, size: tuple[int, int], max_side: int) -> _Frame:
        """Make the longer side MIN_SIDE to `max_side` long; a small image by a whole factor."""
        longest = max(size)
        larger = max(1, min(-(-MIN_SIDE // longest), max_side // longest))
        scale = min(larger, max_side / longest)
        return cls(size, (max(1, round(size[0] * scale)), max(1, round(size[1] * scale))))

    @property
    def scale(self) -> float:
        """Panel pixels an image pixel."""
        return max(self.panel) / max(self.size)

    def resize(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Scale (H, W) or (H, W, C) of the image to the panel; averages, or whole pixels."""
        how = cv2.INTER_AREA if self.scale < 1 else cv2.INTER_NEAREST
        return np.asarray(cv2.resize(picture, self.panel[::-1], interpolation=how), np.uint8)


def draw_overlay(
    grey: NDArray[np.uint8],
    mask: PackedMask,
    class_names: Sequence[str],
    *,
    truth: PackedMask | None = None,
    title: str = "",
    alpha: float = 0.35,
    max_side: int = 1400,
) -> NDArray[np.uint8]:
    """Draw the bones of a mask over the radiograph, with a legend.

    Args:
        grey: (H, W) uint8, the radiograph.
        mask: what to draw, over the same (H, W) pixels.
        class_names: the C classes.
        truth: adds the Dice of every bone to the legend, and a second panel that shows which
            pixels the mask misses or has too much in any bone.
        title: one line above.
        alpha: how much a fill covers, 0 to 1; where n bones overlap 1 - (1 - alpha)^n.
        max_side: the longer side of the radiograph in the picture, in pixels.

    Returns:
        (h, w, 3) uint8 RGB.

    Raises:
        ValueError: the sizes or the numbers of classes differ.
    """
    _require_equal(grey, mask, class_names, truth)
    frame = _Frame.fit(mask.size, max_side)
    bones = _bone_entries(mask, class_names, truth)
    height = max(frame.panel[0], LEAST_HEIGHT)
    row = row_height(len(bones), height)
    panel = _bones_panel(grey, frame, mask, colours(class_names), alpha)
    blocks = [_beside([panel, draw_legend(bones, height, row)], height)]
    if truth is not None:
        legend = draw_legend(_difference_entries(mask, truth), height, row)
        panel = _difference_panel(grey, frame, _difference(mask, truth))
        blocks.append(_beside([panel, legend], height))
    wide = frame.panel[1] > WIDE * frame.panel[0]
    return _titled(_below(blocks) if wide else _beside(blocks, height), title)


def draw_bones(
    grey: NDArray[np.uint8],
    mask: PackedMask,
    class_names: Sequence[str],
    *,
    alpha: float = 0.35,
    max_side: int = 1400,
) -> NDArray[np.uint8]:
    """The panel of `draw_overlay` alone, without legend: (h, w, 3) uint8 RGB.

    An `alpha` of 0 draws outlines alone, in a fifth of the time.
    """
    _require_equal(grey, mask, class_names, None)
    frame = _Frame.fit(mask.size, max_side)
    return _bones_panel(grey, frame, mask, colours(class_names), alpha)


def draw_difference(
    grey: NDArray[np.uint8], mask: PackedMask, truth: PackedMask, *, max_side: int = 1400
) -> NDArray[np.uint8]:
    """The second panel of `draw_overlay` alone: (h, w, 3) uint8 RGB."""
    frame = _Frame.fit(mask.size, max_side)
    return _difference_panel(grey, frame, _difference(mask, truth))


def _require_equal(
    grey: NDArray[np.uint8],
    mask: PackedMask,
    class_names: Sequence[str],
    truth: PackedMask | None,
) -> None:
    if grey.shape != mask.size or mask.classes != len(class_names):
        given = f"an image of {grey.shape} and {len(class_names)} names"
        raise ValueError(f"{given} do not fit a mask of {mask.size} with {mask.classes} classes")
    if truth is not None and (truth.size, truth.classes) != (mask.size, mask.classes):
        given = f"a truth of {truth.size} with {truth.classes} classes"
        raise ValueError(f"{given} does not fit a mask of {mask.size} with {mask.classes}")


def _beside(parts: Sequence[NDArray[np.uint8]], height: int) -> NDArray[np.uint8]:
    """Parts from left to right, each at the top."""
    picture = canvas(height, sum(part.shape[1] for part in parts))
    x = 0
    for part in parts:
        picture[: part.shape[0], x : x + part.shape[1]] = part
        x += part.shape[1]
    return picture


def _below(parts: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Parts from top to bottom, each at the left."""
    picture = canvas(sum(part.shape[0] for part in parts), max(part.shape[1] for part in parts))
    y = 0
    for part in parts:
        picture[y : y + part.shape[0], : part.shape[1]] = part
        y += part.shape[0]
    return picture


def _titled(picture: NDArray[np.uint8], title: str) -> NDArray[np.uint8]:
    if not title:
        return picture
    height, width = picture.shape[:2]
    line = max(30, height // 28)
    text, margin = Lettering(0.6 * line), line // 3
    strip = canvas(line, width)
    text.draw(strip, text.fit(title, width - 2 * margin), margin, line // 2)
    return _below([strip, picture])


def _bones_panel(
    grey: NDArray[np.uint8],
    frame: _Frame,
    mask: PackedMask,
    palette: NDArray[np.uint8],
    alpha: float,
) -> NDArray[np.uint8]:
    boxes = mask.boxes()
    if alpha > 0:
        panel = frame.resize(_filled(grey, mask, boxes, palette, alpha))
    else:
        panel = np.repeat(frame.resize(grey)[..., None], 3, axis=2)
    width = max(1, round(max(frame.panel) / 1000))
    for index, box in enumerate(boxes):
        if box != EMPTY:
            outlines = _outlines(mask, index, box, frame.scale)
            ink = tuple(int(value) for value in palette[index])
            cv2.polylines(
                panel,
                outlines,
                isClosed=True,
                color=ink,
                thickness=width,
                lineType=cv2.LINE_AA,
                shift=SHIFT,
            )
    return panel


def _filled(
    grey: NDArray[np.uint8],
    mask: PackedMask,
    boxes: Sequence[Box],
    palette: NDArray[np.uint8],
    alpha: float,
) -> NDArray[np.uint8]:
    """The radiograph under the mean colour of the bones of each pixel: (H, W, 3)."""
    picture = np.repeat(grey[..., None], 3, axis=2)
    y0, y1, x0, x1 = union = union_box(boxes)
    if union == EMPTY:
        return picture
    bones = np.zeros((y1 - y0, x1 - x0, 1), np.uint8)
    sums = np.zeros((y1 - y0, x1 - x0, 3), np.float32)
    for index, box in enumerate(boxes):
        inside = mask.crop(index, box)[..., None]
        place = slice(box[0] - y0, box[1] - y0), slice(box[2] - x0, box[3] - x0)
        if box != EMPTY:
            bones[place] += inside
            sums[place] += inside * palette[index].astype(np.float32)
    counts = np.arange(mask.classes + 1, dtype=np.float32)
    cover = (1 - (1 - alpha) ** counts)[bones]
    mean = sums / np.maximum(bones, 1)
    picture[y0:y1, x0:x1] = np.rint(picture[y0:y1, x0:x1] * (1 - cover) + mean * cover)
    return picture


def _outlines(mask: PackedMask, index: int, box: Box, scale: float) -> list[NDArray[np.int32]]:
    """The borders of a class and of its holes, in panel coordinates of SHIFT fractional bits."""
    crop = mask.crop(index, box).astype(np.uint8)
    # A border runs through the centres of the outermost pixels. Where pixels are drawn as squares
    # it has to run around them, so they are split until half of one is not seen.
    split = max(1, round(2 * scale)) if scale > 1 else 1
    crop = np.repeat(np.repeat(crop, split, axis=0), split, axis=1)
    contours, _ = cv2.findContours(crop, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    offset, step = np.array([box[2], box[0]]), scale / split
    return [
        np.rint(((points + 0.5) * step + offset * scale - 0.5) * (1 << SHIFT)).astype(np.int32)
        for points in contours
    ]


def _bone_entries(
    mask: PackedMask, class_names: Sequence[str], truth: PackedMask | None
) -> list[Entry]:
    """A row a bone, with its Dice and the mean of all where the truth is known."""
    palette = [(int(r), int(g), int(b)) for r, g, b in colours(class_names)]
    if truth is None:
        present = [box != EMPTY for box in mask.boxes()]
        bones = zip(class_names, palette, present, strict=True)
        return [Entry(name, colour, dim=not there) for name, colour, there in bones]
    counts = overlap_counts(mask, truth)
    scores = dice(counts[:, 0], counts[:, 1], counts[:, 2])
    entries = [Entry("Bone", figure="Dice", dim=True)]
    for name, colour, score, (_, *areas) in zip(class_names, palette, scores, counts, strict=True):
        ink = INK if score >= WEAK_DICE else WEAK_INK
        entries.append(Entry(name, colour, f"{score:.3f}", dim=not any(areas), ink=ink))
    weak = [Entry("orange", figure=f"< {WEAK_DICE}", dim=True)] if scores.min() < WEAK_DICE else []
    return [*entries, Entry("Mean", figure=f"{scores.mean():.3f}"), *weak]


def _difference(mask: PackedMask, truth: PackedMask) -> NDArray[np.uint8]:
    """(H, W) uint8: AGREES, IS_EXTRA or IS_MISSED where a bone is; 0 elsewhere.

    Where one is missed and another extra (a bone under a wrong name), it is missed.
    """
    kinds = np.zeros(mask.size, np.uint8)
    pairs = [
        (AGREES, mask.planes & truth.planes),
        (IS_EXTRA, mask.planes & ~truth.planes),
        (IS_MISSED, truth.planes & ~mask.planes),
    ]
    for kind, planes in pairs:
        for plane in range(planes.shape[2]):
            kinds[planes[..., plane] != 0] = kind
    return kinds


def _difference_panel(
    grey: NDArray[np.uint8], frame: _Frame, kinds: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    panel = frame.resize(grey)[..., None].astype(np.float32) * np.ones(3, np.float32)
    for kind, (colour, alpha) in KINDS.items():
        share = frame.resize(np.where(kinds == kind, np.uint8(255), np.uint8(0)))
        # A border one pixel wide must not fade where the image is drawn smaller.
        gain = 1.0 if kind == AGREES else max(1.0, 1 / frame.scale)
        cover = alpha * np.minimum(share[..., None] * np.float32(gain / 255), 1)
        panel += cover * (np.array(colour, np.float32) - panel)
    return np.rint(panel).astype(np.uint8)


def _difference_entries(mask: PackedMask, truth: PackedMask) -> list[Entry]:
    """Agreement, missed and extra pixels of all bones, in percent of the truth's pixels."""
    both, predicted, true = overlap_counts(mask, truth).sum(axis=0)
    shares = [
        100 * int(count) / max(int(true), 1) for count in (both, true - both, predicted - both)
    ]
    agreement, missed, extra = (f"{share:.1f} %" for share in shares)
    return [
        Entry("Difference", figure="of truth", dim=True),
        Entry("agreement", AGREEMENT, agreement),
        Entry("missed", MISSED, missed),
        Entry("extra", EXTRA, extra),
    ]
