"""Encoded files to grey images: the bytes are checked first, since decoders keep silent."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path  # noqa: TC003  used in public annotations that plugins inspect
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from handbone_cli.data.dicom import is_dicom
from handbone_cli.data.dicom_pixels import decode_dicom, find_dicom_fault
from handbone_cli.errors import UnreadableImageError
from handbone_cli.files import read_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
"""Of images but DICOM, whose files may have none: `handbone_cli.data.dicom.find_dicom_files`."""

MARKER, START_OF_SCAN = 0xFF, 0xDA
_PNG = b"\x89PNG\r\n\x1a\n"


def read_grey(path: Path) -> NDArray[Any]:
    """Read a PNG, JPEG, BMP or DICOM file as (H, W) grey, uint8 or uint16.

    Raises:
        UnreadableImageError: empty, cut off, damaged or no image, naming the file.
    """
    return decode_grey(read_bytes(path), str(path))


def decode_grey(content: bytes, name: str) -> NDArray[Any]:
    """The bytes of a PNG, JPEG, BMP or DICOM file as (H, W) grey, uint8 or uint16.

    Args:
        content: a whole file.
        name: what messages call it.

    Raises:
        UnreadableImageError: empty, cut off, damaged or no image.
    """
    if is_dicom(content):
        return decode_dicom(content, name)
    return _decode(
        content, name, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    )


def read_values(path: Path) -> NDArray[Any]:
    """Read the values that a grey or palette PNG stores, not what they look like: an index map.

    A palette's indices and the steps of 1, 2 and 4 bits are kept as numbers.

    Returns:
        (H, W) uint8 or uint16.

    Raises:
        UnreadableImageError: as `read_grey`, or no grey or palette PNG.
    """
    content = read_bytes(path)
    fault = find_fault(content)
    if fault is None and not (content.startswith(_PNG) and content[25] in {0, 3}):
        fault = "expected a grey or palette PNG whose values are numbers of classes"
    if fault:
        raise UnreadableImageError(f"{path}: {fault}.")
    values = _decode(_palette_as_grey(content), str(path), cv2.IMREAD_UNCHANGED)
    depth = content[24]
    return values // (255 // (2**depth - 1)) if depth < 8 else values


def _palette_as_grey(png: bytes) -> bytes:
    """A palette PNG with its palette taken out, so that decoders give the indices."""
    start = len(_PNG)
    header = bytearray(png[start + 4 : start + 21])
    if header[13] != 3:
        return png
    header[13] = 0
    kept = [_PNG, png[start : start + 4], bytes(header), struct.pack(">I", zlib.crc32(header))]
    place = start + 25
    while place < len(png):
        end = place + 12 + int(struct.unpack_from(">I", png, place)[0])
        if png[place + 4 : place + 8] in {b"IDAT", b"IEND"}:
            kept.append(png[place:end])
        if png[place + 4 : place + 8] == b"IEND":
            break
        place = end
    return b"".join(kept)


def _decode(content: bytes, name: str, flags: int) -> NDArray[Any]:
    fault = find_fault(content)
    if fault:
        raise UnreadableImageError(f"{name}: {fault}.")
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    except cv2.error as error:
        raise UnreadableImageError(f"{name}: cannot be decoded ({error.err}).") from error
    if image is None:
        raise UnreadableImageError(f"{name}: its header is right but its pixels cannot be decoded.")
    return image


def read_size(path: Path) -> tuple[int, int] | None:
    """(H, W) of a PNG or JPEG from its first bytes; None where they do not tell."""
    try:
        with path.open("rb") as file:
            start = file.read(2**16)
    except OSError:
        return None
    if start.startswith(_PNG) and len(start) >= 24:
        width, height = struct.unpack_from(">II", start, 16)
        return height, width
    return _jpeg_size(start) if start.startswith(b"\xff\xd8") else None


def _jpeg_size(start: bytes) -> tuple[int, int] | None:
    """From the frame header, whose marker is SOF0 to SOF15 but DHT, JPG and DAC (ITU T.81)."""
    place = 2
    while place + 9 <= len(start) and start[place] == MARKER:
        marker = start[place + 1]
        if marker == MARKER:
            place += 1
            continue
        if 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", start, place + 5)
            return height, width
        place += 2 + int(struct.unpack_from(">H", start, place + 2)[0])
    return None


def find_fault(content: bytes) -> str | None:
    """What is wrong with the bytes of an image file, or None; cheap next to decoding."""
    if not content:
        return "the file is empty"
    if content.startswith(_PNG):
        return _png_fault(content)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_fault(content)
    if content.startswith(b"BM"):
        return _bmp_fault(content)
    if is_dicom(content):
        return find_dicom_fault(content)
    return "not a PNG or JPEG image, nor BMP or DICOM, whatever its name says"


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


def _bmp_fault(content: bytes) -> str | None:
    """Compare the pixels that the header promises with those that are there (BITMAPINFOHEADER)."""
    cut = "the BMP is cut off (it has too few pixels); copy the file again"
    if len(content) < 54:
        return cut
    offset, _, width, height, _, bits, compression = struct.unpack_from("<IIiiHHI", content, 10)
    if compression not in {0, 3}:  # run lengths tell their size only when they are decoded
        return None
    row = (abs(width) * bits + 31) // 32 * 4
    return cut if len(content) < offset + row * abs(height) else None
