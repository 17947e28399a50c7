from __future__ import annotations

import json

import numpy as np
import pytest

from handbone_cli import DatasetContext, HandboneError
from handbone_cli.testing import BONES, write_tiny_hands
from handbone_cli.testing.tiny import write_png
from handbone_datasets.competition import CompetitionOptions, build, read_outlines


def dataset(root, class_names=BONES):
    return build(CompetitionOptions(class_names=class_names), DatasetContext(root))


@pytest.fixture
def root(tmp_path):
    return write_tiny_hands(tmp_path / "hands", people=2)


def label_file(root, person="ID001", name="image0000"):
    return root / "train" / "outputs_json" / person / f"{name}.json"


def edit(path, change):
    content = json.loads(path.read_text())
    change(content["annotations"])
    path.write_text(json.dumps(content))


def test_samples(root):
    hands = dataset(root)
    train, test = hands.samples("train"), hands.samples("test")
    assert [(s.image_id, s.person) for s in train] == [
        ("image0000", "ID001"),
        ("image0001", "ID001"),
        ("image0002", "ID002"),
        ("image0003", "ID002"),
    ]
    assert [s.image_id for s in test] == ["image0004", "image0005"]
    assert train[0].path == root / "train/DCM/ID001/image0000.png"
    assert train[0].read_image().shape == (64, 64)
    polygons = test[0].read_labels()
    assert sorted(polygons) == [0, 1, 2, 3]
    assert polygons[0][0].dtype == np.float32
    assert hands.problems() == []


def test_test_images_need_no_labels(root):
    for path in (root / "test_labels").rglob("*.json"):
        path.unlink()
    hands = dataset(root)
    assert all(sample.read_labels is None for sample in hands.samples("test"))
    assert hands.problems() == []


def drop_bone(annotations):
    del annotations[1]


def twice(annotations):
    annotations.append(annotations[0])


def strange(annotations):
    annotations.append({**annotations[0], "label": "Sesamoid"})


def outside(annotations):
    annotations[2]["points"][0] = [70, 3]


def two_points(annotations):
    annotations[0]["points"] = [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop_bone, "missing Capitate."),
        (twice, "'finger-1' is there 2 times."),
        (outside, "'Radius' leaves the image (64 x 64)."),
        (two_points, "'finger-1': expected at least three points [x, y]."),
    ],
)
def test_problems_of_labels(root, change, words):
    edit(label_file(root), change)
    assert dataset(root).problems() == [f"{label_file(root)}: {words}"]


def test_a_strange_bone_is_reported_and_left_out(root):
    edit(label_file(root), strange)
    hands = dataset(root)
    assert hands.problems() == [f"{label_file(root)}: 'Sesamoid' is no known bone."]
    assert len(hands.samples("train")[0].read_labels()) == 4


NOT_JSON = "not JSON (line 1: Expecting property name enclosed in double quotes)."


def test_problems_of_files(root):
    label_file(root).unlink()
    (root / "train/DCM/ID002/image0002.png").unlink()
    (root / "train/DCM/ID002/image0003.png").write_bytes(b"")
    label_file(root, "ID001", "image0001").write_text("{")
    assert dataset(root).problems() == [
        f"{root}/train/DCM/ID001/image0000.png: the image has no labels.",
        f"{root}/train/outputs_json/ID002/image0002.json: the labels have no image.",
        f"{label_file(root, 'ID001', 'image0001')}: {NOT_JSON}",
        f"{root}/train/DCM/ID002/image0003.png: the file is empty.",
    ]


FORM = '{"annotations": [{"label": ..., "points": [[x, y], ...]}]}'


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], f"expected {FORM}."),
        ({"shapes": []}, f"expected {FORM}."),
        ({"annotations": 5}, f"expected {FORM}."),
        ({"annotations": [{"label": "Radius"}]}, f"expected {FORM}."),
        (
            {"annotations": [{"label": "Radius", "points": "abc"}]},
            "'Radius': a coordinate is not a finite number.",
        ),
        (
            {"annotations": [{"label": "Radius", "points": [[1, 2], [3, 4], [5, None]]}]},
            "'Radius': a coordinate is not a finite number.",
        ),
        (
            {"annotations": [{"label": "Radius", "points": [[1, 2], [3, 4], [5]]}]},
            "'Radius': a coordinate is not a finite number.",
        ),
    ],
)
def test_json_of_another_form(tmp_path, content, words):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content))
    with pytest.raises(HandboneError) as caught:
        read_outlines(path, BONES)
    assert str(caught.value) == f"{path}: {words}"


def test_two_images_of_one_name(root):
    write_png(root / "train/DCM/ID002/image0000.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(HandboneError, match=r"ID002/image0000.png: the same name as .*ID001"):
        dataset(root).samples("train")


def test_the_root(tmp_path):
    with pytest.raises(HandboneError, match=r"data.root is missing"):
        dataset(None)
    with pytest.raises(HandboneError, match=r"none: no such folder \(data.root\)"):
        dataset(tmp_path / "none")
    with pytest.raises(HandboneError, match="not the competition's layout"):
        dataset(tmp_path)
