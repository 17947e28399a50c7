from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from handbone_cli import DatasetContext, HandboneError, PackedMask, Sample
from handbone_cli.testing.tiny import write_png
from handbone_datasets.image_files import (
    FileOptions,
    files_key,
    list_images,
    name_images,
    opened_root,
    people_in_both,
    require_size,
    sample_problems,
    split_folders,
)


def named(tmp_path, train, test=(), **options):
    listed = {
        split: [(tmp_path / split / f"{place}.png", place) for place in places]
        for split, places in (("train", train), ("test", test))
    }
    found = name_images(listed, FileOptions(**options))
    return [(image.image_id, image.person, image.side) for s in found.values() for image in s]


def test_names_and_people_without_patterns(tmp_path):
    assert named(tmp_path, ["a", "ID1/b", "ID1/c", "ID2/c"]) == [
        ("a", "a", None),
        ("b", "ID1", None),
        ("ID1__c", "ID1", None),
        ("ID2__c", "ID2", None),
    ]


def test_one_name_in_both_splits(tmp_path):
    ids = [image_id for image_id, _, _ in named(tmp_path, ["a", "b"], ["a"])]
    assert ids == ["a", "b", "test__a"]
    assert [person for _, person, _ in named(tmp_path, ["a"], ["a"])] == ["a", "test__a"]
    with pytest.raises(HandboneError, match=r"train/a\.png: the same name as .*train/a\.png"):
        named(tmp_path, ["a", "a"])


def test_patterns(tmp_path):
    found = named(tmp_path, ["P01_L_x", "P02_R"], person=r"(P\d+)_", side="_([LR])")
    assert found == [("P01_L_x", "P01", "left"), ("P02_R", "P02", "right")]
    with pytest.raises(HandboneError) as caught:
        named(tmp_path, ["Q1"], person=r"(P\d+)_")
    assert str(caught.value) == (
        f"{tmp_path}/train/Q1.png: data.person = '(P\\d+)_' does not fit 'Q1'."
    )
    with pytest.raises(HandboneError, match=r"data\.side = '_\(.\)' finds no L, R, left or right"):
        named(tmp_path, ["P1_X"], side="_(.)")


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("P(", "it is no regular expression"),
        ("P", "one group, in round brackets; it has 0"),
        ("(a)(b)", "it has 2"),
    ],
)
def test_patterns_that_are_wrong(pattern, words):
    with pytest.raises(ValidationError, match=words):
        FileOptions(person=pattern)


def test_the_root(tmp_path):
    assert opened_root(DatasetContext(tmp_path), "films") == tmp_path
    with pytest.raises(HandboneError, match=r"data.root is missing: the folder with films; name"):
        opened_root(DatasetContext(None), "films")
    with pytest.raises(HandboneError, match=r"none: no such folder \(data.root\)"):
        opened_root(DatasetContext(tmp_path / "none"), "films")


def test_split_folders(tmp_path):
    assert split_folders(tmp_path, ("train",), ("test",)) == {"train": [tmp_path], "test": []}
    (tmp_path / "val").mkdir()
    assert split_folders(tmp_path, ("train", "val"), ("test",)) == {
        "train": [tmp_path / "val"],
        "test": [],
    }


def test_lists(tmp_path):
    for name in ("b.png", "a/c.JPG", ".d.png", "e.txt", "f.bmp"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in list_images(tmp_path)] == ["c.JPG", "b.png", "f.bmp"]
    assert list_images(tmp_path / "none") == []


def sample(image, labels=None, person="p"):
    return Sample("one", person, lambda: image, (lambda: labels) if labels is not None else None)


def test_people_in_both():
    films = {"train": [sample(0), sample(0, person="q")], "test": [sample(0), sample(0)]}
    assert list(people_in_both(films)) == ["'p' has images both to train on and to test with."]


IMAGE = np.zeros((6, 8), np.uint8)
INSIDE = np.array([(-0.5, 0), (7.5, 0), (5, 5.5)], np.float32)
OUTSIDE = np.array([(0, 0), (7, 0), (5, 5.6)], np.float32)


@pytest.mark.parametrize(
    ("labels", "problems"),
    [
        (None, []),
        ({0: [INSIDE], 1: [INSIDE]}, []),
        ({0: [INSIDE]}, ["f: missing b."]),
        ({0: [INSIDE], 1: []}, ["f: missing b."]),
        ({0: [INSIDE, OUTSIDE], 1: [INSIDE]}, ["f: 'a' leaves the image (8 x 6)."]),
        ({0: [INSIDE], 1: [INSIDE - np.float32(0.1)]}, ["f: 'b' leaves the image (8 x 6)."]),
        (PackedMask.empty((6, 8), 2), ["f: missing a, b."]),
        (PackedMask.from_dense(np.ones((2, 6, 8), bool)), []),
    ],
)
def test_problems_of_a_sample(labels, problems):
    assert list(sample_problems(sample(IMAGE, labels), ("a", "b"), "f")) == problems


def test_problems_that_come_when_reading():
    def read():
        raise HandboneError("it is gone.")

    assert list(sample_problems(Sample("one", "p", read), ("a",), "f")) == ["it is gone."]


def test_sizes():
    require_size((6, 8), (6, 8), "f")
    with pytest.raises(HandboneError) as caught:
        require_size((6, 8), (8, 6), "f")
    assert str(caught.value) == "f: 8 x 6 pixels, but the image has 6 x 8."


def test_keys_follow_the_files(tmp_path):
    write_png(tmp_path / "a.png", IMAGE)
    first = files_key(tmp_path / "a.png", also=["x"])
    assert files_key(tmp_path / "a.png", also=["x"]) == first
    assert files_key(tmp_path / "a.png", also=["y"]) != first
    write_png(tmp_path / "a.png", IMAGE[:3])
    assert files_key(tmp_path / "a.png", also=["x"]) != first
    (tmp_path / "a.png").unlink()
    assert files_key(tmp_path / "a.png", also=["x"]) != first
