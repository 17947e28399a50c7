from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.testing import write_dicom
from handbone_cli.testing.dicom import NAME

pydicom = pytest.importorskip("pydicom")


@pytest.mark.parametrize(
    ("pixels", "elements"),
    [
        (np.arange(15, dtype=np.uint8).reshape(3, 5), {}),
        (np.arange(12, dtype=np.uint16).reshape(3, 4), {"BitsStored": 12}),
        (np.arange(-6, 6, dtype=np.int16).reshape(3, 4), {}),
        (np.arange(27, dtype=np.uint8).reshape(3, 3, 3), {}),
    ],
)
def test_what_is_written_is_read_by_pydicom(tmp_path, pixels, elements):
    film = pydicom.dcmread(write_dicom(tmp_path / "deep/film.dcm", pixels, **elements))
    assert np.array_equal(film.pixel_array, pixels)
    assert film.pixel_array.dtype == pixels.dtype
    assert (film.PatientName, film.PatientID) == (NAME, "P1")
    assert film.HighBit == film.BitsStored - 1


def test_elements_can_be_changed_or_left_out(tmp_path):
    pixels = np.zeros((3, 4), np.uint8)
    first = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", pixels, Laterality="L", PatientID=None))
    assert (first.Laterality, "PatientID" in first) == ("L", False)
    second = pydicom.dcmread(write_dicom(tmp_path / "b.dcm", pixels))
    assert first.SOPInstanceUID != second.SOPInstanceUID
