"""DICOM files: which they are, and the few fields of the header that do not say whose it is."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import logging
import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError, UnreadableImageError
from handbone_cli.files import explain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SUFFIXES = (".dcm", ".dicom", ".ima")
START = 132
"""Bytes to the end of the magic `DICM` (PS3.10, 7.1)."""

_HEADER_TAGS = [
    "Rows", "PatientID", "IssuerOfPatientID", "StudyInstanceUID", "SOPInstanceUID",
    "ImageLaterality", "Laterality", "ViewPosition", "SeriesDescription",
    "ImagerPixelSpacing", "PixelSpacing",
]  # fmt: skip
_SIDES = {"left": {"L", "LT", "LEFT"}, "right": {"R", "RT", "RIGHT"}}


@dataclass(frozen=True)
class DicomHeader:
    """What is told of a DICOM file besides its pixels; no name, no PatientID, no date.

    Attributes:
        is_image: whether there are or should be pixels; a report or an index has none.
        patient: SHA-256 of PatientID and its issuer; "" where there is none. Whoever can guess an
            id can check the guess: for grouping in memory, not to be written down.
        study: StudyInstanceUID, "" where there is none.
        instance: SOPInstanceUID, "" where there is none.
        side: 'left' or 'right' from ImageLaterality, Laterality, or a word in ViewPosition or
            SeriesDescription.
        spacing: (row, column) mm a pixel: ImagerPixelSpacing (at the detector), else PixelSpacing.
    """

    is_image: bool
    patient: str
    study: str
    instance: str
    side: str | None
    spacing: tuple[float, float] | None


def is_dicom(content: bytes) -> bool:
    """Whether bytes begin as a DICOM file does; the first 132 are enough."""
    return content[START - 4 : START] == b"DICM"


def find_dicom_files(folder: Path) -> list[Path]:
    """The DICOM files in a folder and below, sorted.

    By suffix (.dcm, .dicom, .ima), or by content where there is no suffix, or a number for one as
    in files named by UID. A DICOMDIR is an index, no image.
    """
    found = (path for path in sorted(folder.rglob("*")) if path.name.upper() != "DICOMDIR")
    return [path for path in found if path.is_file() and is_dicom_file(path)]


def is_dicom_file(path: Path) -> bool:
    """Whether a file should be DICOM, by its suffix or, for want of one, its first bytes."""
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return True
    if path.name.startswith(".") or not (suffix == "" or suffix[1:].isdigit()):
        return False
    try:
        with path.open("rb") as file:
            return is_dicom(file.read(START))
    except OSError:
        return False


def name_without_suffix(path: Path) -> str:
    """A DICOM file's name without .dcm and the like; a UID keeps its last number."""
    return path.stem if path.suffix.lower() in SUFFIXES else path.name


def pseudonym(*parts: str) -> str:
    """Twelve hexadecimal digits that stand for some texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


def read_dicom_header(path: Path, name: str | None = None) -> DicomHeader:
    """The harmless fields of a DICOM file; its pixels are not read.

    Args:
        path: the file.
        name: what messages call it, where its path may name a person.

    Raises:
        UnreadableImageError: no DICOM file, or a damaged one.
        HandboneError: pydicom is not installed, or the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            header = parse(file, name or str(path), _HEADER_TAGS, stop_before_pixels=True)
    except OSError as error:
        raise _renamed(error, path, name) from error
    patient = _text(header, "PatientID")
    issuer = _text(header, "IssuerOfPatientID")
    return DicomHeader(
        is_image=should_be_image(header),
        patient=hashlib.sha256(f"{issuer}\0{patient}".encode()).hexdigest() if patient else "",
        study=_text(header, "StudyInstanceUID"),
        instance=_text(header, "SOPInstanceUID"),
        side=_side(header),
        spacing=_spacing(header, "ImagerPixelSpacing") or _spacing(header, "PixelSpacing"),
    )


def pydicom_module(name: str) -> Any:
    """The module pydicom or one below it; one sentence where it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise HandboneError(
            "reading DICOM files needs pydicom: pip install 'handbone[dicom]'."
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without what pydicom warns of and logs, since it quotes values of the header."""
    logger = logging.getLogger("pydicom")
    before, logger.disabled = logger.disabled, True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before


def parse(file: Any, name: str, tags: list[str], *, stop_before_pixels: bool = False) -> Any:
    """The named elements alone: what is never read can never be shown."""
    dcmread = pydicom_module("pydicom").dcmread
    start = file.read(START)
    if not is_dicom(start):
        what = "the file is empty" if not start else "not a DICOM file (no DICM after 128 bytes)"
        raise UnreadableImageError(f"{name}: {what}.")
    file.seek(0)
    try:
        with quiet():
            return dcmread(file, specific_tags=tags, stop_before_pixels=stop_before_pixels)
    except Exception as error:  # noqa: BLE001  a damaged file makes pydicom raise anything
        raise UnreadableImageError(
            f"{name}: the DICOM header is damaged or cut off ({type(error).__name__}); copy the "
            "file again."
        ) from None  # its message may quote the header


def _renamed(error: OSError, path: Path, name: str | None) -> HandboneError:
    said = str(explain(error, path, "read it"))
    return HandboneError(said.replace(str(path), name) if name else said)


def should_be_image(header: Any) -> bool:
    """Whether a file has rows of pixels, or is of a kind that has: its end may be missing."""
    kind = _text(header.file_meta, "MediaStorageSOPClassUID")
    with quiet():
        name = str(pydicom_module("pydicom.uid").UID(kind).name)
    return number(header, "Rows") > 0 or name in {"", kind} or "Image" in name


def value(header: Any, keyword: str) -> Any:
    """A value, or None where there is none or none that can be right."""
    with quiet():
        try:
            return header.get(keyword)
        except Exception:  # noqa: BLE001  a damaged element makes pydicom raise anything
            return None


def _text(header: Any, keyword: str) -> str:
    return str(value(header, keyword) or "").strip()


def number(header: Any, keyword: str) -> float:
    """A value as a finite number; 0 where there is none."""
    try:
        found = float(value(header, keyword) or 0)
    except (TypeError, ValueError):
        return 0.0
    return found if np.isfinite(found) else 0.0


def _spacing(header: Any, keyword: str) -> tuple[float, float] | None:
    try:
        row, column = (float(part) for part in value(header, keyword))
    except (TypeError, ValueError):
        return None
    valid = row > 0 and column > 0 and np.isfinite((row, column)).all()
    return (row, column) if valid else None


def _side(header: Any) -> str | None:
    for keyword in ("ImageLaterality", "Laterality"):
        letter = _text(header, keyword).upper()
        if letter == "B":
            return None
        for side, words in _SIDES.items():
            if letter in words:
                return side
    for keyword in ("ViewPosition", "SeriesDescription"):
        said = set(re.findall("[A-Z]+", _text(header, keyword).upper()))
        named = [side for side, words in _SIDES.items() if said & words]
        if len(named) == 1:
            return named[0]
    return None
