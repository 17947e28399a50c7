"""Encoded files to grey images: the bytes are checked first, since decoders keep silent."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path  # noqa: TC003  used in public annotations that plugins inspect
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from handbone_cli.errors import UnreadableImageError
from handbone_cli.files import read_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg")
MARKER, START_OF_SCAN = 0xFF, 0xDA
_PNG = b"\x89PNG\r\n\x1a\n"


def read_grey(path: Path) -> NDArray[Any]:
    """Read a PNG or JPEG as (H, W) grey, uint8 or uint16.

    Raises:
        UnreadableImageError: empty, cut off, damaged or no image, naming the file.
    """
    content = read_bytes(path)
    fault = find_fault(content)
    if fault:
        raise UnreadableImageError(f"{path}: {fault}.")
    try:
        image = cv2.imdecode(
            np.frombuffer(content, np.uint8),
            cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION,
        )
    except cv2.error as error:
        raise UnreadableImageError(f"{path}: cannot be decoded ({error.err}).") from error
    if image is None:
        raise UnreadableImageError(f"{path}: its header is right but its pixels cannot be decoded.")
    return image


def find_fault(content: bytes) -> str | None:
    """What is wrong with the bytes of an image file, or None; cheap next to decoding."""
    if not content:
        return "the file is empty"
    if content.startswith(_PNG):
        return _png_fault(content)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_fault(content)
    return "not a PNG or JPEG image, whatever its name says"


def _png_fault(content: bytes) -> str | None:
    """Walk the chunks with their checksums to IEND (ISO/IEC 15948)."""
    place = len(_PNG)
    while place + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, place)
        end = place + 12 + length
        if end > len(content):
            break
        (checksum,) = struct.unpack_from(">I", content, end - 4)
        if zlib.crc32(memoryview(content)[place + 4 : end - 4]) != checksum:
            return "the PNG is damaged (a checksum is wrong)"
        if content[place + 4 : place + 8] == b"IEND":
            return None
        place = end
    return "the PNG is cut off (it has no end); copy the file again"


def _jpeg_fault(content: bytes) -> str | None:
    """Walk the segments to the first scan and look for its end (ITU T.81, annex B)."""
    place = 2
    while place + 4 <= len(content):
        if content[place] != MARKER:
            return "the JPEG is damaged (a marker is missing)"
        if content[place + 1] == MARKER:
            place += 1
            continue
        (length,) = struct.unpack_from(">H", content, place + 2)
        if content[place + 1] == START_OF_SCAN:
            found = content.find(b"\xff\xd9", place + 2 + length)
            return (
                None if found >= 0 else "the JPEG is cut off (it has no end); copy the file again"
            )
        place += 2 + length
    return "the JPEG is cut off (it has no pixels); copy the file again"
