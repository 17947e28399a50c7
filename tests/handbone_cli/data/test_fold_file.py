from __future__ import annotations

import pytest

from handbone_cli.data.fold_file import (
    FoldFile,
    folds_from_file,
    load_folds,
    refuse_other_files,
    save_folds,
)
from handbone_cli.errors import HandboneError

SPLIT = FoldFile(2, 21, ("pose", "sex"), {"ID002": 1, "ID001": 0, "a b.c": 1})
TEXT = """\
# Who is in which fold. Written by `hb data folds`; a recipe names it: data.folds_file
format = 1
folds = 2
seed = 21
balanced = [
    "pose",
    "sex",
]

[people]
ID001 = 0
ID002 = 1
"a b.c" = 1
"""


@pytest.fixture
def path(tmp_path):
    save_folds(tmp_path / "folds.toml", SPLIT)
    return tmp_path / "folds.toml"


def test_there_and_back(path):
    assert path.read_text() == TEXT
    assert load_folds(path) == SPLIT


def test_people_of_the_data(path):
    assert folds_from_file(path, ["ID002", "ID001", "ID002"], 2) == {"ID001": 0, "ID002": 1}


@pytest.mark.parametrize(
    ("persons", "folds", "message"),
    [
        (
            ["ID001"],
            5,
            (
                "has 2 folds, but data.folds = 5; set data.folds = 2, or split again with "
                "hb data folds --folds 5."
            ),
        ),
        (
            ["ID003", "ID001", "ID003"],
            2,
            (
                "1 of 2 people of the data are not in it (ID003); split again with hb data folds, "
                "or exclude their images (data.exclude)."
            ),
        ),
        (
            ["ID7", "ID6", "ID8", "ID5"],
            2,
            (
                "a split of other people: nobody of the data (ID5, ID6, ID7 ...) is in it; "
                "write one for this data with hb data folds."
            ),
        ),
    ],
)
def test_a_split_that_does_not_fit(path, persons, folds, message):
    with pytest.raises(HandboneError) as caught:
        folds_from_file(path, persons, folds)
    assert str(caught.value) == f"{path}: {message}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("format = 1", "format = 2", "is a split of format 2, not 1"),
        ("format = 1", "", "'format' is missing or wrong"),
        ("folds = 2", "", "'folds' is missing or wrong"),
        ("folds = 2", "folds = 'many'", "is missing or wrong"),
        ("[people]", "[others]", "'people' is missing or wrong"),
        ("ID002 = 1", "ID002 = 2", r"people.ID002 = 2; expected a fold from 0 to 1"),
        ("ID002 = 1", "ID002 = -1", r"people.ID002 = -1; expected a fold from 0 to 1"),
        ("ID002 = 1", "ID002 = 1.0", r"people.ID002 = 1.0; expected a fold from 0 to 1"),
        ("ID002 = 1", "ID002 = true", r"people.ID002 = True; expected a fold from 0 to 1"),
        ("ID002 = 1", "ID002 1", "not TOML"),
    ],
)
def test_files_that_are_no_split(path, old, new, words):
    path.write_text(TEXT.replace(old, new))
    with pytest.raises(HandboneError, match=words) as caught:
        load_folds(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_no_such_file(tmp_path):
    with pytest.raises(HandboneError, match=r"expected a split that `hb data folds` writes"):
        load_folds(tmp_path / "folds.toml")


def test_only_splits_are_replaced(path, tmp_path):
    refuse_other_files(path)
    refuse_other_files(tmp_path / "new.toml")
    path.write_text('name = "a recipe"\n')
    with pytest.raises(HandboneError, match=r"folds.toml: not a split of `hb data folds`, so it"):
        refuse_other_files(path)
    with pytest.raises(HandboneError, match=r"a split is a \.toml file"):
        refuse_other_files(tmp_path / "folds.json")
