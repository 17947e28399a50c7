"""The pixels of DICOM radiographs as grey: tables, windows, padding, MONOCHROME1."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.data.dicom import number, parse, pydicom_module, quiet, should_be_image
from handbone_cli.errors import HandboneError, UnreadableImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TAGS = [
    "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "PlanarConfiguration", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "PixelData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths",
    "PixelPaddingValue", "PixelPaddingRangeLimit", "ModalityLUTSequence", "RescaleSlope",
    "RescaleIntercept", "VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction",
    "RedPaletteColorLookupTableDescriptor", "GreenPaletteColorLookupTableDescriptor",
    "BluePaletteColorLookupTableDescriptor", "RedPaletteColorLookupTableData",
    "GreenPaletteColorLookupTableData", "BluePaletteColorLookupTableData",
]  # fmt: skip


def decode_dicom(content: bytes, name: str) -> NDArray[Any]:
    """The radiograph in the bytes of a DICOM file, as a workstation would show it at first.

    Modality LUT or rescale, VOI LUT or the first window (PS3.3, C.11.1 and C.11.2), MONOCHROME1
    inverted, padding black, colour as grey. What can be stored or shown, from least to largest, is
    brought to 0 to 255 where a pixel has 8 bits, else to 0 to 65535.

    Args:
        content: the file.
        name: what messages call it.

    Returns:
        (H, W) uint8 or uint16, bright where the film is dense.

    Raises:
        UnreadableImageError: not one whole radiograph, or compressed as nothing here can decode.
        HandboneError: pydicom is not installed.
    """
    header = parse(io.BytesIO(content), name, _TAGS)
    fault = _fault(header)
    if fault:
        raise UnreadableImageError(f"{name}: {fault}.")
    try:
        with quiet():
            return _grey(header)
    except Exception as error:  # what a damaged file makes pydicom raise is not foreseeable
        raise UnreadableImageError(
            f"{name}: its pixels cannot be decoded ({type(error).__name__}); export it again."
        ) from error


def find_dicom_fault(content: bytes) -> str | None:
    """What is wrong with the bytes of a DICOM file, or None; nothing is decoded.

    Raises:
        HandboneError: pydicom is not installed.
    """
    try:
        return _fault(parse(io.BytesIO(content), "", _TAGS))
    except UnreadableImageError as error:
        return str(error).removeprefix(": ").removesuffix(".")


def _fault(header: Any) -> str | None:
    """Why this is not one whole radiograph that can be decoded here; None where it is."""
    try:
        with quiet():
            return _find_fault(header)
    except HandboneError:
        raise
    except Exception as error:  # noqa: BLE001  a damaged header makes pydicom raise anything
        return f"the DICOM header is damaged ({type(error).__name__}); copy the file again"


def _find_fault(header: Any) -> str | None:
    rows, columns = int(number(header, "Rows")), int(number(header, "Columns"))
    if not should_be_image(header):
        return "it holds no image (it is a report or an index)"
    if not (rows and columns) or "PixelData" not in header:
        return "it has no pixels (it is cut off, or only a header); copy the file again"
    frames = int(number(header, "NumberOfFrames")) or 1
    if frames > 1:
        return f"it holds {frames} frames; export the one frame that is the radiograph"
    if int(number(header, "BitsStored")) > 16:
        return "its pixels have more than 16 bits; expected a radiograph of up to 16"
    syntax = getattr(header.file_meta, "TransferSyntaxUID", None)
    if syntax is None or not syntax.is_transfer_syntax:
        return "it does not say how its pixels are stored (TransferSyntaxUID)"
    if syntax.is_compressed and not syntax.is_deflated:
        return _missing_decoder(syntax)
    samples = int(number(header, "SamplesPerPixel")) or 1
    needed = (rows * columns * samples * int(number(header, "BitsAllocated")) + 7) // 8
    if len(header.PixelData) < needed:
        return "the DICOM file is cut off (pixels are missing); copy the file again"
    return None


def _missing_decoder(syntax: Any) -> str | None:
    try:
        available = pydicom_module("pydicom.pixels").get_decoder(syntax).is_available
    except NotImplementedError:
        return f"its pixels are stored as {syntax.name}; export it uncompressed"
    if available:
        return None
    return (
        f"its pixels are compressed ({syntax.name}) and no decoder for that is installed: "
        "pip install 'handbone[dicom]', or export it uncompressed"
    )


def _grey(header: Any) -> NDArray[Any]:
    stored = np.asarray(pydicom_module("pydicom.pixels").pixel_array(header))
    if not str(header.PhotometricInterpretation).startswith("MONOCHROME"):
        return _colour_to_grey(header, stored)
    least, largest = _stored_range(header)
    shown = _show(header, np.arange(least, largest + 1, dtype=np.int32))
    return shown[stored.astype(np.int32) - least]


def _stored_range(header: Any) -> tuple[int, int]:
    bits = int(header.BitsStored)
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if header.PixelRepresentation else (
        0, 2**bits - 1)  # fmt: skip


def _show(header: Any, stored: NDArray[np.int32]) -> NDArray[Any]:
    """The grey of every value that can be stored, ascending."""
    pixels = pydicom_module("pydicom.pixels")
    values = pixels.apply_modality_lut(stored, header)
    low, high = _value_range(header)
    if _has_table(header, "VOILUTSequence"):
        table = header.VOILUTSequence[0]
        values = _look_up(table, values, little=header.file_meta.TransferSyntaxUID.is_little_endian)
        low, high = 0.0, 2.0 ** int(table.LUTDescriptor[2]) - 1
    elif _has_window(header):
        values = pixels.apply_windowing(values, header)
    else:
        low, high = min(low, high), max(low, high)
    share = (np.asarray(values, np.float64) - low) / (high - low)
    if header.PhotometricInterpretation == "MONOCHROME1":
        share = 1 - share
    share[_is_padding(header, stored)] = 0
    top, dtype = (65535, np.uint16) if int(header.BitsStored) > 8 else (255, np.uint8)
    return np.asarray(np.rint(np.clip(share, 0, 1) * top), dtype)


def _look_up(table: Any, values: NDArray[Any], *, little: bool) -> NDArray[Any]:
    """A VOI LUT (PS3.3, C.11.2.1.1), whose entries may be words, or bytes where they have 8 bits.

    pydicom 3.0's own keeps the index in the entry's type: 8-bit tables longer than 256 go wrong.
    """
    count, first = int(table.LUTDescriptor[0]) or 2**16, int(table.LUTDescriptor[1])
    data = table.LUTData
    if isinstance(data, bytes):
        word = "u1" if len(data) in {count, count + 1} else "<u2" if little else ">u2"
        data = np.frombuffer(data, word)
    entries = np.asarray(data)[:count]
    places = np.clip(np.rint(values).astype(np.int64) - first, 0, len(entries) - 1)
    return np.asarray(entries[places])


def _value_range(header: Any) -> tuple[float, float]:
    """What the least and the largest stored value become; the first is larger for slopes < 0."""
    if _has_table(header, "ModalityLUTSequence"):
        return 0.0, 2.0 ** int(header.ModalityLUTSequence[0].LUTDescriptor[2]) - 1
    low, high = _stored_range(header)
    if header.get("RescaleSlope") is None or header.get("RescaleIntercept") is None:
        return low, high
    slope, intercept = float(header.RescaleSlope), float(header.RescaleIntercept)
    return low * slope + intercept, high * slope + intercept


def _has_table(header: Any, keyword: str) -> bool:
    items = header.get(keyword)
    return bool(items) and "LUTDescriptor" in items[0] and "LUTData" in items[0]


def _has_window(header: Any) -> bool:
    """Whether there is a window that can be used; some devices write a width of 0 for none."""
    if header.get("WindowCenter") is None or header.get("WindowWidth") is None:
        return False
    width = header.WindowWidth
    first = float(width[0] if header["WindowWidth"].VM > 1 else width)
    is_linear = str(header.get("VOILUTFunction") or "LINEAR").upper() == "LINEAR"
    return first >= 1 if is_linear else first > 0


def _is_padding(header: Any, stored: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Where there is no image: PixelPaddingValue, or all from there to PixelPaddingRangeLimit."""
    first = header.get("PixelPaddingValue")
    if first is None:
        return np.zeros(stored.shape, np.bool_)
    limit = header.get("PixelPaddingRangeLimit")
    ends = sorted((int(first), int(first if limit is None else limit)))
    return np.asarray((stored >= ends[0]) & (stored <= ends[1]), np.bool_)


def _colour_to_grey(header: Any, stored: NDArray[Any]) -> NDArray[Any]:
    """Luma of a secondary capture (ITU-R BT.601); pydicom has made RGB of YBR already."""
    import cv2

    if header.PhotometricInterpretation == "PALETTE COLOR":
        stored = pydicom_module("pydicom.pixels").apply_color_lut(stored, header)
    if stored.ndim != 3:
        raise ValueError("colour without three samples a pixel")
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(stored[..., :3]), cv2.COLOR_RGB2GRAY))
