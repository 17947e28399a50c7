from __future__ import annotations

import json

import numpy as np
import pytest

from handbone_cli import DatasetContext, HandboneError, PackedMask
from handbone_cli.testing import BONES, check_dataset, write_dicom
from handbone_cli.testing.dicom import NAME
from handbone_cli.testing.tiny import draw_tiny_hand, write_png
from handbone_datasets.dicom import DicomOptions, build

pytest.importorskip("pydicom")

NAMES = tuple(sorted(BONES))
SIZE = 40


def dataset(root, **options):
    return build(DicomOptions(**options), DatasetContext(root))


def write(root, place, person=0, *, form="labelme", labels=None, **elements):
    """A film called `place` and its labels, called `labels` or the same."""
    pixels, outlines = draw_tiny_hand(person, 0, SIZE, 4)
    elements = {"PatientID": f"MRN{person}", "StudyInstanceUID": f"1.2.{person}", **elements}
    path = write_dicom(root / place, pixels.astype(np.uint16) * 16, BitsStored=12, **elements)
    pairs = list(zip(BONES, outlines, strict=True))
    where = root / (labels or place.removesuffix(".dcm"))
    if form == "labelme":
        shapes = [{"label": bone, "points": outline.tolist()} for bone, outline in pairs]
        write_json(where, {"shapes": shapes})
    elif form == "competition":
        entries = [{"label": bone, "points": outline.tolist()} for bone, outline in pairs]
        write_json(where, {"annotations": entries})
    elif form == "masks":
        for bone, mask in zip(NAMES, masks_of(person), strict=True):
            write_png(where / f"{bone}.png", mask.astype(np.uint8) * 255)
    return path


def write_json(where, content):
    where.parent.mkdir(parents=True, exist_ok=True)
    (where.parent / f"{where.name}.json").write_text(json.dumps(content))


def masks_of(person):
    _, outlines = draw_tiny_hand(person, 0, SIZE, 4)
    polygons = {
        NAMES.index(b): [o.astype(np.float32)] for b, o in zip(BONES, outlines, strict=True)
    }
    return PackedMask.from_polygons(polygons, (SIZE, SIZE), 4).dense()


def dense(sample):
    return PackedMask.from_labels(sample.read_labels(), (SIZE, SIZE), 4).dense()


@pytest.mark.parametrize(
    ("form", "labels"),
    [
        ("labelme", None),
        ("competition", None),
        ("labelme", "elsewhere/F{}"),
        ("competition", "labels/1.9.{}"),
        ("masks", "masks/F{}"),
        ("masks", "deep/masks/1.9.{}"),
    ],
)
def test_labels(tmp_path, form, labels):
    for person in range(2):
        write(tmp_path, f"films/F{person}.dcm", person, form=form, SOPInstanceUID=f"1.9.{person}",
              labels=labels.format(person) if labels else None)  # fmt: skip
    films = dataset(tmp_path)
    check_dataset(films)
    assert (films.class_names, films.problems()) == (NAMES, [])
    for person, sample in enumerate(films.samples("train")):
        assert sample.image_id == f"F{person}"
        assert sample.path == tmp_path / f"films/F{person}.dcm"
        assert np.array_equal(dense(sample), masks_of(person))
        expected = draw_tiny_hand(person, 0, SIZE, 4)[0].astype(float) * 16 / 4095 * 65535
        assert np.abs(sample.read_image() - expected).max() <= 0.5


def test_side_and_spacing(tmp_path):
    write(tmp_path, "a.dcm", ImageLaterality="R", ImagerPixelSpacing=[0.1, 0.2])
    (sample,) = dataset(tmp_path).samples("train")
    assert (sample.side, sample.spacing) == ("right", (0.1, 0.2))


def test_splits_and_files_without_suffix(tmp_path):
    write(tmp_path, "train/S1/IM0001", 1)
    write(tmp_path, "train/S2/IM0001", 2)
    write(tmp_path, "test/S3/1.2.3", 3)
    films = dataset(tmp_path)
    check_dataset(films)
    ids = [[sample.image_id for sample in films.samples(split)] for split in ("train", "test")]
    assert ids == [["train__S1__IM0001", "train__S2__IM0001"], ["1.2.3"]]
    for person, sample in enumerate([*films.samples("train"), *films.samples("test")], start=1):
        assert np.array_equal(dense(sample), masks_of(person))


def test_a_name_that_two_films_share_finds_no_labels_elsewhere(tmp_path):
    write(tmp_path, "S1/IM1", 1, form=None)
    write(tmp_path, "S2/IM1", 2, labels="labels/IM1")
    assert [s.read_labels for s in dataset(tmp_path, class_names=NAMES).samples("train")] == [
        None,
        None,
    ]


def people(root, **options):
    return [sample.person for sample in dataset(root, **options).samples("train")]


def test_people_by_patient(tmp_path):
    for name, patient, study in (
        ("a", "7", "1.1"), ("b", "7", "1.2"), ("c", "8", "1.3"), ("d", "", "1.4"), ("e", "", "1.4")
    ):  # fmt: skip
        write(tmp_path, f"{name}.dcm", PatientID=patient, StudyInstanceUID=study)
    a, b, c, d, e = people(tmp_path)
    assert (a == b, d == e, len({a, c, d})) == (True, True, 3)
    a, b, c, d, e = people(tmp_path, person="study")
    assert (d == e, len({a, b, c, d})) == (True, 4)


def test_a_pseudonym_cannot_be_tried_out(tmp_path):
    """The same PatientID in other studies has another one."""
    write(tmp_path / "one", "a.dcm", PatientID="7", StudyInstanceUID="1.1")
    write(tmp_path / "two", "a.dcm", PatientID="7", StudyInstanceUID="1.2")
    assert people(tmp_path / "one") != people(tmp_path / "two")


def test_people_by_folder(tmp_path):
    for place in ("ID1/a.dcm", "ID1/b.dcm", "ID2/c.dcm", "d.dcm"):
        write(tmp_path, place)
    assert people(tmp_path, person="folder")[:3] == ["ID1", "ID1", "ID2"]
    hashed = people(tmp_path, person="folder", ids="uid")
    assert (hashed[0] == hashed[1], len(set(hashed)), "ID1" in hashed) == (True, 3, False)


def everything(films):
    """All that a store, a run or a person at the terminal could get to see."""
    samples = [*films.samples("train"), *films.samples("test")]
    facts = [(s.image_id, s.person, s.path, s.labels_path, s.key, s.side) for s in samples]
    return repr(facts) + repr(list(films.problems()))


def test_nobody_is_named(tmp_path):
    first = write(tmp_path, "Doe_Jane/Doe.dcm", labels="Doe_Jane/Doe")
    second = write(tmp_path, "Roe/Roe.dcm", 1, form="masks", labels="masks/Roe")
    write_png(tmp_path / "masks/Roe/Ulna.png", np.zeros((3, 3), np.uint8))
    third = write(tmp_path, "Poe/Poe.dcm", 2, form="competition")
    (tmp_path / "Poe/Poe.json").write_text("{")
    torn = write(tmp_path, "Moe/Moe.dcm", 3, form=None)
    torn.write_bytes(torn.read_bytes()[:-100])
    (tmp_path / "Loe").mkdir()
    (tmp_path / "Loe/Loe.dcm").write_bytes(b"")
    films = dataset(tmp_path, ids="uid", class_names=NAMES)
    cut = "the DICOM file is cut off (pixels are missing); copy the file again."
    json_fault = "not JSON (line 1: Expecting property name enclosed in double quotes)."
    assert films.problems() == [
        f"{tmp_path}: DICOM file 2 of 5: the file is empty.",
        f"{tmp_path}: DICOM file 3 of 5: the image has no labels.",
        f"{tmp_path}: DICOM file 3 of 5: {cut}",
        f"{tmp_path}: DICOM file 4 of 5, its labels: {json_fault}",
        f"{tmp_path}: DICOM file 5 of 5, its labels Ulna: 3 x 3 pixels, but the image has 40 x 40.",
    ]
    said = everything(films)
    words = [
        part for path in (first, second, third, torn) for part in path.relative_to(tmp_path).parts
    ]
    words += [*NAME.split("^"), "Loe", "MRN", "Roe", "Poe", "1.2.0"]
    assert [word for word in words if word in said] == []
    assert [len(sample.image_id) for sample in films.samples("train")] == [12] * 5
    assert np.array_equal(dense(films.samples("train")[0]), masks_of(0))
    with_files = everything(dataset(tmp_path, class_names=NAMES))
    assert "MRN" not in with_files
    assert NAME not in with_files


def test_a_file_that_vanishes_is_not_named(tmp_path):
    path = write(tmp_path, "Doe.dcm")
    (sample,) = dataset(tmp_path, ids="uid").samples("train")
    path.unlink()
    with pytest.raises(HandboneError) as caught:
        sample.read_image()
    assert str(caught.value) == (
        f"{tmp_path}: DICOM file 1 of 1: cannot read it: No such file or directory."
    )


def test_problems(tmp_path):
    write(tmp_path, "a.dcm")
    write(tmp_path, "b.dcm", 1, form=None)
    cut = write(tmp_path, "c.dcm", 2)
    cut.write_bytes(cut.read_bytes()[:-7])
    write_json(tmp_path / "d", {"annotations": [
        {"label": "Ulna", "points": [[1, 1], [9, 1], [40, 9]]},
        {"label": "Lunate", "points": [[1, 1], [9, 1], [5, 9]]},
    ]})  # fmt: skip
    write(tmp_path, "d.dcm", 3, form=None)
    write(tmp_path, "report.dcm", form=None, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22", Rows=None)
    films = dataset(tmp_path, class_names=BONES)
    assert films.problems() == [
        f"{tmp_path}/b.dcm: the image has no labels.",
        f"{cut}: the DICOM file is cut off (pixels are missing); copy the file again.",
        f"{tmp_path}/d.dcm: 'Lunate' in its labels is no known class.",
        f"{tmp_path}/d.dcm, its labels: missing finger-1, Capitate, Radius.",
        f"{tmp_path}/d.dcm, its labels: 'Ulna' leaves the image (40 x 40).",
    ]


def test_a_placeholder_for_the_patient(tmp_path):
    for number in range(3):
        write(tmp_path, f"{number}.dcm", PatientID="ANON", StudyInstanceUID=f"1.{number}")
    words = (
        "all 3 images of 3 studies have one PatientID; if it is a placeholder, set person = "
        "'study' or 'folder' in [data]."
    )
    assert dataset(tmp_path).problems() == [f"{tmp_path}: {words}"]
    assert dataset(tmp_path, person="study").problems() == []


def test_one_patient_in_both_splits(tmp_path):
    write(tmp_path, "train/a.dcm", PatientID="7", StudyInstanceUID="1.1")
    write(tmp_path, "test/b.dcm", PatientID="7", StudyInstanceUID="1.1")
    films = dataset(tmp_path)
    person = films.samples("train")[0].person
    assert films.problems() == [f"'{person}' has images both to train on and to test with."]


def test_two_copies(tmp_path):
    for name in ("Doe.dcm", "Roe.dcm"):
        write(tmp_path, name, SOPInstanceUID="1.2.3")
    with pytest.raises(HandboneError) as caught:
        dataset(tmp_path, ids="uid")
    assert str(caught.value) == f"{tmp_path}: two images of one SOPInstanceUID; remove one of them."


def test_what_is_no_such_dataset(tmp_path):
    with pytest.raises(HandboneError, match=r"no DICOM image in it; expected .dcm, .dicom, .ima"):
        dataset(tmp_path)
    write(tmp_path, "a.dcm", form=None)
    with pytest.raises(HandboneError, match=r"no DICOM image has labels; expected NAME.json"):
        dataset(tmp_path)
    check_dataset(dataset(tmp_path, class_names=BONES))


def test_without_pydicom(tmp_path, monkeypatch):
    write(tmp_path, "a.dcm")

    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(HandboneError, match=r"needs pydicom: pip install 'handbone\[dicom\]'"):
        dataset(tmp_path)
