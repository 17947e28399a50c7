from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from handbone_cli.data.fold_file import FoldFile, save_folds
from handbone_cli.data.sources import (
    dataset_split,
    from_files,
    from_list,
    open_dataset,
    training_and_validation,
)
from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe
from handbone_cli.testing import write_dicom
from handbone_cli.testing.tiny import write_png


@pytest.fixture
def films(tmp_path):
    for name in ("a.png", "b.jpg", "deep/a.png", "deep/c.PNG"):
        write_png(tmp_path / "films" / name.replace("PNG", "png"), np.zeros((4, 4), np.uint8))
    (tmp_path / "films" / "deep" / "c.png").rename(tmp_path / "films" / "deep" / "c.PNG")
    (tmp_path / "films" / "notes.txt").write_text("no image")
    return tmp_path / "films"


def names(pattern):
    return [sample.image_id for sample in from_files(str(pattern))]


def test_a_folder_a_glob_and_a_file(films):
    assert names(films) == ["a", "b", "deep__a", "c"]
    assert names(films / "*.png") == ["a"]
    assert names(films / "**" / "*.png") == ["films__a", "deep__a"]
    assert names(films / "b.jpg") == ["b"]
    sample = from_files(str(films / "b.jpg"))[0]
    assert (sample.person, sample.path, sample.read_labels) == ("b", films / "b.jpg", None)
    assert sample.read_image().shape == (4, 4)


def listed(*paths):
    return [sample.image_id for sample in from_list([f"{path}\n".encode() for path in paths])]


def test_a_list_keeps_its_order_and_takes_folders(films, monkeypatch):
    assert listed(films / "b.jpg", films / "deep") == ["b", "a", "c"]
    assert listed(films / "a.png", films / "deep" / "a.png") == ["a", "deep__a"]
    monkeypatch.chdir(films)
    assert listed("deep/a.png", films / "a.png") == ["deep__a", "a"]
    assert listed("notes.txt") == ["notes.txt"]  # said when its pixels are read, with the others


def test_lists_that_are_mistaken(films):
    with pytest.raises(HandboneError, match=r"^the list of -i - is empty; expected a path a line"):
        from_list([b"\n"])
    with pytest.raises(HandboneError, match=r"line 2: .*a\.png is there already, by line 1"):
        listed(films / "deep", films / "deep" / "a.png")
    with pytest.raises(HandboneError, match=r"line 1: .*films/none: no such file or folder"):
        listed(films / "none")
    write_png(films / "a.jpg", np.zeros((4, 4), np.uint8))
    with pytest.raises(HandboneError, match="two images are named 'a' but for their suffix"):
        listed(films / "a.png", films / "a.jpg")


def test_a_list_of_bytes_that_are_no_text(tmp_path):
    name = os.fsencode(tmp_path) + b"/film\xff.png"
    try:
        write_png(Path(os.fsdecode(name)), np.zeros((4, 4), np.uint8))
    except (HandboneError, UnicodeError):
        pytest.skip("this file system takes text alone")
    (sample,) = from_list([name])
    assert sample.read_image().shape == (4, 4)


def test_dicom_without_pydicom_is_one_sentence(tmp_path, monkeypatch):
    pytest.importorskip("pydicom")
    write_dicom(tmp_path / "film.dcm", np.zeros((5, 6), np.uint16))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for find in (lambda: from_files(str(tmp_path)), lambda: listed(tmp_path / "film.dcm")):
        with pytest.raises(HandboneError, match=r"needs pydicom: pip install 'handbone\[dicom\]'"):
            find()


def test_a_folder_of_reports_alone(tmp_path):
    pytest.importorskip("pydicom")
    kind = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22", "Rows": None}
    write_dicom(tmp_path / "report.dcm", np.zeros((5, 6), np.uint16), **kind)
    with pytest.raises(HandboneError, match="no PNG or JPEG image in this folder"):
        from_files(str(tmp_path))


def test_two_of_one_name(films):
    write_png(films / "a.jpg", np.zeros((4, 4), np.uint8))
    with pytest.raises(HandboneError, match="two images are named 'a' but for their suffix"):
        from_files(str(films))


def test_a_folder_of_dicom_files(tmp_path):
    pytest.importorskip("pydicom")
    pixels = np.zeros((5, 6), np.uint16)
    left = {"ImageLaterality": "L", "ImagerPixelSpacing": [0.1, 0.2]}
    for name, elements in (
        ("Doe_left.dcm", left),
        ("1.2.840.7", {"PatientID": "P2"}),
        ("deep/IM0001", {"StudyInstanceUID": "1.2.9"}),
        ("deep/report.dcm", {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.22", "Rows": None}),
    ):
        write_dicom(tmp_path / name, pixels, **elements)
    (tmp_path / "cut.dcm").write_bytes((tmp_path / "1.2.840.7").read_bytes()[:-9])
    write_png(tmp_path / "film.bmp", np.zeros((4, 4), np.uint8))
    samples = {sample.image_id: sample for sample in from_files(str(tmp_path))}
    assert list(samples) == ["1.2.840.7", "Doe_left", "cut", "IM0001", "film"]
    assert (samples["Doe_left"].side, samples["Doe_left"].spacing) == ("left", (0.1, 0.2))
    assert samples["Doe_left"].person == samples["1.2.840.7"].person == samples["cut"].person
    assert samples["IM0001"].person != samples["cut"].person
    assert not {"P1", "P2", "1.2.826.1", "1.2.9"} & {s.person for s in samples.values()}
    assert samples["film"].person == "film"
    assert samples["IM0001"].read_image().shape == (5, 6)
    with pytest.raises(HandboneError, match=r"cut\.dcm: the DICOM file is cut off"):
        samples["cut"].read_image()


def test_a_file_that_is_dicom_by_name_alone(tmp_path):
    (tmp_path / "film.dcm").write_text("no film")
    (sample,) = from_files(str(tmp_path / "film.dcm"))
    assert (sample.image_id, sample.person) == ("film", "film")
    with pytest.raises(
        HandboneError, match=r"film\.dcm: not a PNG or JPEG image, nor BMP or DICOM"
    ):
        sample.read_image()


@pytest.mark.parametrize(
    ("name", "words"),
    [("empty", "no PNG or JPEG image in this folder"), ("none*.png", "no such file, folder or")],
)
def test_nothing_there(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HandboneError, match=words) as caught:
        from_files(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)


def opened(tiny_data, *overrides):
    recipe = load_recipe(str(tiny_data.recipe), installed(), overrides)
    return recipe, open_dataset(recipe, installed())


def test_the_parts_of_a_dataset(tiny_data):
    recipe, dataset = opened(tiny_data)
    training, validation = training_and_validation(dataset, recipe)
    assert (len(training), len(validation)) == (8, 4)
    for name, samples in (("train", training), ("val", validation)):
        asked = dataset_split(recipe, installed(), name)
        assert [s.image_id for s in asked] == [s.image_id for s in samples]
    tests = dataset_split(recipe, installed(), "test")
    assert [s.image_id for s in tests] == ["image0012", "image0013"]


def test_everybody_is_trained_on_and_the_parts_stay(tiny_data):
    """`-i val` of a run on everybody still means the people of its fold."""
    recipe, dataset = opened(tiny_data, "train.on=all", "data.exclude=['image0003']")
    training, validation = training_and_validation(dataset, recipe)
    assert (len(training), validation) == (11, [])
    parts = {name: dataset_split(recipe, installed(), name) for name in ("train", "val")}
    part, _ = opened(tiny_data, "data.exclude=['image0003']")
    for name, samples in parts.items():
        assert [s.image_id for s in samples] == [
            s.image_id for s in dataset_split(part, installed(), name)
        ]
    few, _ = opened(tiny_data, "train.on=all", "data.folds=7")
    assert len(training_and_validation(dataset, few)[0]) == 12


def test_excluded_images(tiny_data):
    recipe, dataset = opened(tiny_data, "data.exclude=['image0003']")
    kept = [s.image_id for part in training_and_validation(dataset, recipe) for s in part]
    assert len(kept) == 11
    assert "image0003" not in kept
    recipe, dataset = opened(tiny_data, "data.exclude=['image9999']")
    with pytest.raises(HandboneError, match="no labelled image 'image9999' to exclude"):
        training_and_validation(dataset, recipe)


def test_a_dataset_without_test_images_or_labels(tmp_path, tiny_data):
    write_png(tmp_path / "train/DCM/ID001/a.png", np.zeros((4, 4), np.uint8))
    recipe, _ = opened(tiny_data, f"data.root={tmp_path}")
    with pytest.raises(HandboneError, match="the dataset has no 'test' images"):
        dataset_split(recipe, installed(), "test")
    with pytest.raises(HandboneError, match="there is no labelled image to train on"):
        dataset_split(recipe, installed(), "val")


@pytest.fixture
def split(tmp_path, tiny_data):
    people = {f"ID{person:03d}": person % 3 for person in range(1, 7)}
    save_folds(tmp_path / "folds.toml", FoldFile(3, 1, (), people))
    return tmp_path / "folds.toml"


def test_folds_of_a_file(tiny_data, split):
    recipe, dataset = opened(tiny_data, f"data.folds_file={split}", "data.fold=1")
    training, validation = training_and_validation(dataset, recipe)
    assert {s.person for s in validation} == {"ID001", "ID004"}
    assert {s.person for s in training} == {"ID002", "ID003", "ID005", "ID006"}
    recipe, _ = opened(tiny_data, f"data.folds_file={split}", "data.fold=1", "seed=99")
    assert dataset_split(recipe, installed(), "val")[0].person == "ID001"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("ID006 = 0", "", "1 of 6 people of the data are not in it"),
        ("ID00", "P", "a split of other people"),
        ("folds = 3", "folds = 4", "has 4 folds, but data.folds = 3"),
    ],
)
def test_a_file_that_does_not_fit(tiny_data, split, old, new, words):
    split.write_text(split.read_text().replace(old, new))
    recipe, dataset = opened(tiny_data, f"data.folds_file={split}", "data.fold=1")
    with pytest.raises(HandboneError, match=words):
        training_and_validation(dataset, recipe)


@pytest.mark.parametrize(("fold", "words"), [(1, "everyone"), (0, "nobody")])
def test_a_fold_of_all_or_none(tiny_data, split, fold, words):
    people = {f"ID{person:03d}": 1 for person in range(1, 7)} | {"ID100": 0, "ID101": 2}
    save_folds(split, FoldFile(3, 1, (), people))
    recipe, dataset = opened(tiny_data, f"data.folds_file={split}", f"data.fold={fold}")
    with pytest.raises(HandboneError, match=f"{words} of the data is in fold {fold}"):
        training_and_validation(dataset, recipe)
