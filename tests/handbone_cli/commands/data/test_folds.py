from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from handbone_cli.data.fold_file import load_folds
from handbone_cli.files import write_json
from handbone_cli.testing import hb
from handbone_cli.testing.tiny import write_png

XS = {"finger-3": 20, "finger-11": 30, "finger-19": 40}


def annotations(*, left, bent):
    """Bars: an Ulna, and three metacarpals that may lean by 45 degrees."""
    lean = 20 if bent else 0
    bars = {bone: (60 - x if left else x, 30, lean) for bone, x in XS.items()}
    bars["Ulna"] = (30, 60, 0)
    return [
        {
            "label": bone,
            "points": [[x, y], [x + 3, y], [x + 3 + shift, y - 20], [x + shift, y - 20]],
        }
        for bone, (x, y, shift) in bars.items()
    ]


def film(number):
    """Sixteen squares a side, of greys that no other number has."""
    rng = np.random.default_rng(number)
    return cv2.resize(rng.integers(0, 255, (16, 16), np.uint8), (64, 64), interpolation=0)


@pytest.fixture
def root(tmp_path):
    """Eight people with two hands, two of whom have bent wrists, and a test person."""
    root = tmp_path / "hands"
    for number in range(18):
        split, name = ("train", "test")[number > 15], f"ID{number // 2 + 1:03d}"
        write_png(root / split / "DCM" / name / f"image{number:02d}.png", film(number))
        if split == "train":
            labels = annotations(left=number % 2 == 1, bent=number // 2 in {0, 1})
            path = root / "train" / "outputs_json" / name / f"image{number:02d}.json"
            write_json(path, {"annotations": labels})
    rows = [f"{n},{'FM'[n % 2]},{20 + 5 * n}" for n in range(1, 9)]
    (root / "meta_data.csv").write_text("\n".join(["ID,Sex,Age", *rows]))
    return root


@pytest.fixture
def recipe(root):
    """In a folder of its own, with one image left out."""
    text = 'name = "a"\nseed = 3\n[model]\nname = "nnunet"\n[loss]\nname = "dice"\n'
    data = '[data]\nroot = "../hands"\nfolds = 4\nexclude = ["image15"]\nfolds_file = "f.toml"\n'
    path = root.parent / "recipes" / "a.toml"
    path.parent.mkdir()
    path.write_text(text + data)
    return path


TABLE = """\
fold  people  images  bent %  left %  female %  mean age
0     4       8       25.0    50.0    50.0      42.5
1     4       8       25.0    50.0    50.0      42.5
all   8       16      25.0    50.0    50.0      42.5
balanced: pose, side, sex, age
folds.toml: 8 people in 2 folds
"""


def without_times(text):
    return [line.partition(" in ")[0] for line in text.splitlines()]


def test_a_balanced_split_of_a_folder(root, tmp_path):
    done = hb("data", "folds", root, "--folds", 2, "-o", "folds.toml", cwd=tmp_path)
    assert (done.code, done.out) == (
        0, TABLE + "no near-duplicates in different folds, or in training and test\n"
    )  # fmt: skip
    assert without_times(done.err) == [
        f"{root}/meta_data.csv: has 8 of the 8 people",
        "Reading labels: 16/16 images",
        "Reading images: 18/18 images",
    ]
    split = load_folds(tmp_path / "folds.toml")
    assert (split.folds, split.seed, split.balanced) == (2, 21, ("pose", "side", "sex", "age"))
    assert split.people["ID001"] != split.people["ID002"]  # whose wrists are bent
    before = (tmp_path / "folds.toml").read_bytes()
    again = hb(
        "data", "folds", root, "--folds", 2, "--no-duplicates", "-o", "folds.toml", cwd=tmp_path
    )
    assert (again.out, len(again.err.splitlines())) == (TABLE, 2)
    assert (tmp_path / "folds.toml").read_bytes() == before


def test_a_recipe_gives_folds_seed_and_what_is_left_out(recipe, tmp_path):
    output = tmp_path / "recipes" / "f.toml"
    done = hb("data", "folds", recipe, "-o", output)
    assert (done.code, done.out.splitlines()[5]) == (
        0, "all   8       15      26.7    46.7    50.0      42.5"
    )  # fmt: skip
    split = load_folds(output)
    assert (split.folds, split.seed) == (4, 3)
    hb("data", "folds", recipe, "--folds", 2, "--seed", 0, "-o", output)
    assert (load_folds(output).folds, load_folds(output).seed) == (2, 0)
    hb("data", "folds", recipe, "--set", "data.folds=3", "-o", output)
    assert load_folds(output).folds == 3


def test_near_duplicates(root, tmp_path):
    films = root / "train" / "DCM"
    copy = cv2.convertScaleAbs(film(0), alpha=0.8, beta=20)
    write_png(root / "test" / "DCM" / "ID009" / "image17.png", copy[:, ::-1])
    mine = load_first(root, tmp_path)
    other = next(
        p for p, fold in mine.items() if p not in {"ID001", "ID002"} and fold != mine["ID002"]
    )
    number = 2 * int(other[2:]) - 2
    write_png(films / other / f"image{number:02d}.png", film(2))
    (films / "ID008" / "image15.png").write_bytes(b"")
    done = hb("data", "folds", root, "--folds", 2, "-o", "folds.toml", cwd=tmp_path)
    assert done.code == 0
    heading, *pairs = done.out.splitlines()[6:]
    assert heading == "2 near-duplicates in different folds, or in training and test:"
    assert pairs == [
        (
            f"  image02 (ID002, fold {mine['ID002']}) and image{number:02d} ({other}, "
            f"fold {mine[other]}): identical, correlation 1.00"
        ),
        (
            f"  image00 (ID001, fold {mine['ID001']}) and image17 (ID009, test): "
            "mirrored, correlation 1.00"
        ),
    ]
    unread = f"not compared: {films / 'ID008' / 'image15.png'}: the file is empty."
    assert done.err.splitlines()[-1] == unread


def load_first(root, tmp_path):
    done = hb("data", "folds", root, "--folds", 2, "--no-duplicates", "-o", tmp_path / "folds.toml")
    assert done.code == 0
    return load_folds(tmp_path / "folds.toml").people


def test_json(root, tmp_path):
    write_png(root / "test" / "DCM" / "ID009" / "image16.png", film(5))
    command = ("data", "folds", root, "--folds", 2, "--json", "-o", "folds.toml")
    found = json.loads(hb(*command, cwd=tmp_path).out)
    fold = load_folds(tmp_path / "folds.toml").people["ID003"]
    same = {
        "people": 4, "images": 8, "bent": 0.25, "left": 0.5, "female": 0.5, "age": 42.5,
    }  # fmt: skip
    assert found == {
        "file": "folds.toml",
        "folds": 2,
        "seed": 21,
        "balanced": ["pose", "side", "sex", "age"],
        "summary": {"0": same, "1": same, "all": same | {"people": 8, "images": 16}},
        "duplicates": [
            {
                "images": ["image05", "image16"],
                "people": ["ID003", "ID009"],
                "places": [f"fold {fold}", "test"],
                "kind": "identical",
                "correlation": 1.0,
            }
        ],
    }
    assert json.loads(hb(*command, "--no-duplicates", cwd=tmp_path).out)["duplicates"] is None


def test_without_a_table_and_without_poses(root, tiny_data, tmp_path):
    (root / "meta_data.csv").unlink()
    done = hb("data", "folds", root, "--folds", 2, "--no-duplicates", "-o", "a.toml", cwd=tmp_path)
    assert done.err.splitlines()[0] == (
        "no table of people (meta_data.xlsx or .csv): sex and age unknown"
    )
    assert done.out.splitlines()[1:] == [
        "0     4       8       25.0    50.0    -         -",
        "1     4       8       25.0    50.0    -         -",
        "all   8       16      25.0    50.0    -         -",
        "balanced: pose, side",
        "a.toml: 8 people in 2 folds",
    ]
    done = hb("data", "folds", tiny_data.recipe, "--no-duplicates", "-o", "b.toml", cwd=tmp_path)
    assert done.out.splitlines()[-2:] == [
        "neither pose, side, sex nor age is known: dealt at random",
        "b.toml: 6 people in 3 folds",
    ]


def test_a_table_elsewhere(root, tmp_path):
    (tmp_path / "people.csv").write_text("ID,Sex\n1,F\n2,M\n")
    command = ("data", "folds", root, "--no-duplicates", "-o", tmp_path / "folds.toml")
    done = hb(*command, "--meta", tmp_path / "people.csv")
    assert done.err.splitlines()[0] == f"{tmp_path}/people.csv: has 2 of the 8 people"
    assert "balanced: pose, side, sex\n" in done.out
    for rows, strangers in (("71,F\n", "ID071 ..."), ("", "no row at all")):
        (tmp_path / "people.csv").write_text("ID,Sex\n" + rows)
        done = hb(*command, "--meta", tmp_path / "people.csv")
        message = (
            f"hb: {tmp_path}/people.csv: has nobody of the data (ID001 ...), but {strangers}; "
            "name the table of these people with --meta.\n"
        )
        assert (done.code, done.err) == (1, message)
    (tmp_path / "people.csv").rename(root / "meta_data.csv")
    done = hb(*command)
    assert (done.code, done.err.splitlines()[0]) == (
        0,
        f"{root}/meta_data.csv: has 0 of the 8 people",
    )


def test_who_moves_when_a_split_is_replaced(root, tmp_path):
    before = load_first(root, tmp_path)
    for seed in range(22, 40):
        command = ("data", "folds", root, "--folds", 2, "--seed", seed, "--no-duplicates")
        done = hb(*command, "-o", tmp_path / "folds.toml")
        after = load_folds(tmp_path / "folds.toml").people
        moved = sum(before[person] != after[person] for person in before)
        told = [line for line in done.err.splitlines() if "replaced" in line]
        line = (
            f"{tmp_path}/folds.toml: replaced, and {moved} people change their fold: runs that "
            "name this file would now validate on people they were trained on"
        )
        assert told == ([line] if moved else [])
        if moved:
            return
        before = after
    pytest.fail("no seed moved anybody")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("hands", "-o", "x.json"), "x.json: a split is a .toml file; give -o such a name."),
        (("hands", "-o", "recipes/a.toml"), "recipes/a.toml: not a split of `hb data folds`, so "),
        (("nowhere", "-o", "x.toml"), "nowhere: neither a folder of data nor a recipe."),
        (("hands", "--set", "seed=3", "-o", "x.toml"), "--set overrides keys of a recipe, and "),
        (("hands", "--folds", "9", "-o", "x.toml"), "data.folds = 9, but the data has 8 people; "),
        (("hands", "--meta", "x.csv", "-o", "x.toml"), "x.csv: cannot read it: there is no such "),
    ],
)
def test_mistakes(recipe, tmp_path, words, message):
    before = recipe.read_bytes()
    done = hb("data", "folds", *words, cwd=tmp_path)
    assert (done.code, done.out) == (1, "")
    assert done.err.splitlines()[-1].startswith(f"hb: {message}")
    assert not (tmp_path / "x.toml").exists()
    assert recipe.read_bytes() == before


def test_labels_that_are_broken_or_missing(root, tmp_path):
    labels = root / "train" / "outputs_json"
    (labels / "ID004" / "image06.json").write_text('{"annotations": [')
    done = hb("data", "folds", root, "-o", tmp_path / "x.toml")
    assert done.code == 1
    assert f"hb: {labels}/ID004/image06.json: not JSON" in done.err
    for path in labels.glob("*/*.json"):
        path.unlink()
    done = hb("data", "folds", root, "-o", tmp_path / "x.toml")
    assert (done.code, done.err) == (
        1, f"hb: {root}: there is no labelled image to train on, so none to split.\n"
    )  # fmt: skip
