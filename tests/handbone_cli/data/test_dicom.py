from __future__ import annotations

import contextlib
import logging
import warnings

import numpy as np
import pytest

from handbone_cli.data.dicom import (
    DicomHeader,
    find_dicom_files,
    is_dicom,
    name_without_suffix,
    pseudonym,
    read_dicom_header,
)
from handbone_cli.data.images import read_grey
from handbone_cli.errors import HandboneError, UnreadableImageError
from handbone_cli.testing import write_dicom

pytest.importorskip("pydicom")

PIXELS = np.zeros((6, 4), np.uint16)


def header(tmp_path, **elements):
    return read_dicom_header(write_dicom(tmp_path / "film.dcm", PIXELS, **elements))


def test_what_a_header_says(tmp_path):
    found = header(tmp_path, SOPInstanceUID="1.2.3", ImagerPixelSpacing=[0.14, 0.15])
    assert found == DicomHeader(
        is_image=True,
        patient=found.patient,
        study="1.2.826.1",
        instance="1.2.3",
        side=None,
        spacing=(0.14, 0.15),
    )
    assert len(found.patient) == 64


def test_nobody_is_named(tmp_path):
    said = repr(header(tmp_path, PatientID="123-45", PatientBirthDate="19700101"))
    assert not [word for word in ("Doe", "Jane", "123-45", "1970") if word in said]


def test_patients_are_told_apart(tmp_path):
    one = header(tmp_path, PatientID="17")
    assert header(tmp_path, PatientID="17 ", PatientName="Roe").patient == one.patient
    assert header(tmp_path, PatientID="18").patient != one.patient
    assert header(tmp_path, PatientID="17", IssuerOfPatientID="B").patient != one.patient
    assert header(tmp_path, PatientID="").patient == ""
    assert header(tmp_path, PatientID=None).patient == ""


@pytest.mark.parametrize(
    ("elements", "side"),
    [
        ({"ImageLaterality": "L"}, "left"),
        ({"Laterality": "R"}, "right"),
        ({"ImageLaterality": "L", "Laterality": "R"}, "left"),
        ({"ImageLaterality": "U", "Laterality": "R"}, "right"),
        ({"ImageLaterality": "B", "SeriesDescription": "left"}, None),
        ({"ViewPosition": "PA"}, None),
        ({"ViewPosition": "LL"}, None),
        ({"ViewPosition": "PA RIGHT"}, "right"),
        ({"SeriesDescription": "Hand, lt. (PA)"}, "left"),
        ({"SeriesDescription": "Hand L and R"}, None),
        ({"SeriesDescription": "bright rules"}, None),
        ({}, None),
    ],
)
def test_sides(tmp_path, elements, side):
    with warnings.catch_warnings():  # of values that the standard does not know
        warnings.simplefilter("ignore")
        path = write_dicom(tmp_path / "film.dcm", PIXELS, **elements)
    assert read_dicom_header(path).side == side


@pytest.mark.parametrize(
    ("elements", "spacing"),
    [
        ({"PixelSpacing": [0.2, 0.3]}, (0.2, 0.3)),
        ({"ImagerPixelSpacing": [0.1, 0.1], "PixelSpacing": [0.2, 0.3]}, (0.1, 0.1)),
        ({"ImagerPixelSpacing": [0, 0], "PixelSpacing": [0.2, 0.3]}, (0.2, 0.3)),
        ({"PixelSpacing": None}, None),
    ],
)
def test_spacing(tmp_path, elements, spacing):
    assert header(tmp_path, **elements).spacing == spacing


def test_a_spacing_that_is_no_number(tmp_path):
    path = write_dicom(tmp_path / "film.dcm", PIXELS, PixelSpacing=[0.25, 0.25])
    path.write_bytes(path.read_bytes().replace(b"0.25\\0.25", b"wide\\high"))
    assert read_dicom_header(path).spacing is None


def test_a_report_is_no_image(tmp_path):
    none = {"Rows": None, "Columns": None, "PixelData": None}
    assert not header(tmp_path, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", **none).is_image
    assert header(tmp_path, **none).is_image  # its class says that it should be one


def test_pixels_are_not_needed(tmp_path):
    path = write_dicom(tmp_path / "film.dcm", PIXELS)
    path.write_bytes(path.read_bytes()[:-40])
    assert read_dicom_header(path).is_image


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"hello", "not a DICOM file (no DICM after 128 bytes)"),
    ],
)
def test_what_is_no_dicom_file(tmp_path, content, words):
    path = tmp_path / "Doe_Jane.dcm"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError) as caught:
        read_dicom_header(path, "file 3")
    assert str(caught.value).startswith(f"file 3: {words}")


def test_a_header_that_cannot_be_read(tmp_path):
    path = write_dicom(tmp_path / "film.dcm", PIXELS)
    plain, deflated = b"\x14\x001.2.840.10008.1.2.1\0", b"\x16\x001.2.840.10008.1.2.1.99"
    path.write_bytes(path.read_bytes().replace(plain, deflated))
    with pytest.raises(UnreadableImageError) as caught:
        read_dicom_header(path)
    assert str(caught.value) == (
        f"{path}: the DICOM header is damaged or cut off (error); copy the file again."
    )


def test_a_sequence_that_is_none(tmp_path):
    """pydicom says so with an OSError, as if the disk were at fault."""
    path = write_dicom(tmp_path / "film.dcm", PIXELS)
    content = path.read_bytes()
    path.write_bytes(content[:136] + b"SQ\0\0\xff\xff\xff\xff" + content[144:])
    words = f"{path}: the DICOM header is damaged or cut off (OSError); copy the file again."
    for read in (read_dicom_header, read_grey):
        with pytest.raises(UnreadableImageError) as caught:
            read(path)
        assert str(caught.value) == words


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(HandboneError) as caught:
        read_dicom_header(tmp_path / "Doe.dcm", "file 3")
    assert str(caught.value) == "file 3: cannot read it: there is no such file or folder."


def test_random_damage_is_a_sentence_or_a_header(tmp_path):
    path = write_dicom(tmp_path / "film.dcm", PIXELS, ImagerPixelSpacing=[0.1, 0.1])
    content, rng = path.read_bytes(), np.random.default_rng(4)
    for _ in range(100):
        wrong = bytearray(content)
        for place in rng.integers(132, len(content), 4):
            wrong[place] = rng.integers(256)
        path.write_bytes(wrong)
        with contextlib.suppress(UnreadableImageError), warnings.catch_warnings():
            warnings.simplefilter("error")
            assert isinstance(read_dicom_header(path), DicomHeader)


def test_nothing_is_logged(tmp_path, caplog):
    path = write_dicom(tmp_path / "film.dcm", PIXELS, StudyInstanceUID="1.2.826.77")
    path.write_bytes(path.read_bytes().replace(b"1.2.826.77", b"Doe^Jane.7"))
    with caplog.at_level(logging.DEBUG), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_dicom_header(path).study == "Doe^Jane.7"
    assert caplog.text == ""


def test_files_of_a_folder(tmp_path):
    for name in ("b.dcm", "deep/a.DCM", "deep/IM0001", "1.2.840.5", "c.ima", "d.dicom", "DICOMDIR",
                 ".hidden", "note.7z"):  # fmt: skip
        write_dicom(tmp_path / name, PIXELS)
    (tmp_path / "README").write_text("no film")
    (tmp_path / "empty").write_bytes(b"")
    found = [path.relative_to(tmp_path).as_posix() for path in find_dicom_files(tmp_path)]
    assert found == ["1.2.840.5", "b.dcm", "c.ima", "d.dicom", "deep/IM0001", "deep/a.DCM"]
    assert name_without_suffix(tmp_path / "1.2.840.5") == "1.2.840.5"
    assert name_without_suffix(tmp_path / "a.b.DCM") == "a.b"


def test_the_magic():
    assert is_dicom(bytes(128) + b"DICM")
    assert not is_dicom(b"DICM")


def test_pseudonyms():
    assert pseudonym("17", "1.2") == pseudonym("17", "1.2")
    assert len({pseudonym("17", "1.2"), pseudonym("171", ".2"), pseudonym("17", "1.3")}) == 3
    assert len(pseudonym("17")) == 12
