"""Pictures as files, and lettering on them: a font size in pixels, text that fits its place."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np

from handbone_cli.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

Colour: TypeAlias = "tuple[int, int, int]"
"""R, G, B, 0 to 255."""

BACKGROUND: Colour = (22, 23, 26)
INK: Colour = (226, 228, 232)
DIM_INK: Colour = (128, 132, 140)

FONT = cv2.FONT_HERSHEY_SIMPLEX  # since OpenCV 5 its built-in sans serif is drawn for it
SCALE_PER_PIXEL = 1 / 31  # a line of text 31 px high is drawn at scale 1
ELLIPSIS = "..."

HEADER_END = 33  # of a PNG: signature 8, chunk IHDR 4 + 4 + 13 + 4
TEXT = b"tEXtSoftware\0handbone"
MARK = struct.pack(">I", len(TEXT) - 4) + TEXT + struct.pack(">I", zlib.crc32(TEXT))
"""The chunk that says whose picture it is: length, type, keyword and text, CRC."""


def canvas(height: int, width: int) -> NDArray[np.uint8]:
    """An empty dark picture: (height, width, 3) uint8 RGB."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write (H, W, 3) uint8 RGB as a PNG that names us as its maker, whole or not at all.

    Raises:
        HandboneError: the file cannot be written.
    """
    done, content = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"OpenCV cannot encode a picture of shape {rgb.shape}")
    write_bytes(path, mark_png(content.tobytes()))


def is_picture(head: bytes) -> bool:
    """Whether a file that begins so is a PNG that names us as its maker."""
    return head[HEADER_END : HEADER_END + len(MARK)] == MARK


def mark_png(png: bytes) -> bytes:
    """A PNG with our text chunk (PNG specification, 11.3.4.3) right after its header chunk."""
    return png[:HEADER_END] + MARK + png[HEADER_END:]


@dataclass(frozen=True)
class Lettering:
    """Text of one size.

    Attributes:
        height: of a line, in pixels, from the top of an ascender to the foot of a descender.
    """

    height: float

    @property
    def _thickness(self) -> int:
        return max(1, round(self.height / 28))

    def width(self, text: str) -> int:
        """How wide a text is drawn, in pixels."""
        (width, _), _ = cv2.getTextSize(text, FONT, self.height * SCALE_PER_PIXEL, self._thickness)
        return int(width)

    def fit(self, text: str, width: int) -> str:
        """The text, or as much of it as `width` pixels hold with an ellipsis in its middle."""
        if self.width(text) <= width:
            return text
        for kept in range(len(text) - 1, 1, -1):
            tail = kept // 2
            shorter = text[: kept - tail] + ELLIPSIS + text[len(text) - tail :]
            if self.width(shorter) <= width:
                return shorter
        return ""

    def draw(
        self, picture: NDArray[np.uint8], text: str, x: int, middle: int, ink: Colour = INK
    ) -> None:
        """Draw on a picture, in place, from `x` on; capitals are centred on the row `middle`."""
        foot = middle + round(0.35 * self.height)
        scale = self.height * SCALE_PER_PIXEL
        cv2.putText(picture, text, (x, foot), FONT, scale, ink, self._thickness, cv2.LINE_AA)

    def draw_right(
        self, picture: NDArray[np.uint8], text: str, right: int, middle: int, ink: Colour = INK
    ) -> None:
        """Draw so that the text ends before the column `right`."""
        self.draw(picture, text, right - self.width(text), middle, ink)

    def draw_over(self, picture: NDArray[np.uint8], text: str, centre: tuple[int, int]) -> None:
        """Draw around (x, y) with a dark rim, readable on bone and on background; in place."""
        x, foot = centre[0] - self.width(text) // 2, centre[1] + round(0.35 * self.height)
        scale, thick = self.height * SCALE_PER_PIXEL, self._thickness
        for ink, width in ((BACKGROUND, thick + 3), (INK, thick)):
            cv2.putText(picture, text, (x, foot), FONT, scale, ink, width, cv2.LINE_AA)
