"""Arrays as DICOM files, for tests of what reads them."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

from handbone_cli.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

NAME = "Doe^Jane"
"""The patient's name in every file that is written here; it must come out nowhere."""


def write_dicom(path: Path, pixels: NDArray[Any], **elements: Any) -> Path:
    """Write a radiograph as DICOM (explicit VR, little endian); gives `path`. Needs pydicom.

    Args:
        path: the file.
        pixels: (H, W) or (H, W, 3), uint8, uint16 or int16.
        elements: by keyword, on top of those that follow from the pixels and of a patient called
            `NAME` with the PatientID 'P1'; None leaves one out.
    """
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

    instance = "1.2.826.0." + str(int(hashlib.sha256(path.name.encode()).hexdigest()[:16], 16))
    bits = pixels.dtype.itemsize * 8
    values: dict[str, Any] = {
        "SOPClassUID": DigitalXRayImageStorageForPresentation,
        "SOPInstanceUID": instance,
        "StudyInstanceUID": "1.2.826.1",
        "PatientName": NAME,
        "PatientID": "P1",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1 if pixels.ndim == 2 else 3,
        "PhotometricInterpretation": "MONOCHROME2" if pixels.ndim == 2 else "RGB",
        "PlanarConfiguration": None if pixels.ndim == 2 else 0,
        "BitsAllocated": bits,
        "BitsStored": bits,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PixelData": pixels.tobytes() + b"\0" * (pixels.nbytes % 2),
        **elements,
    }
    values["HighBit"] = values["BitsStored"] - 1
    dataset = Dataset()
    for keyword, value in values.items():
        if value is not None:
            setattr(dataset, keyword, value)
    if "PixelData" in dataset:
        dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = values["SOPClassUID"]
    dataset.file_meta.MediaStorageSOPInstanceUID = values["SOPInstanceUID"]
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    write_bytes(path, buffer.getvalue())
    return path
