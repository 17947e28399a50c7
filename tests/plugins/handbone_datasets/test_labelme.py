from __future__ import annotations

import base64
import json

import cv2
import numpy as np
import pytest

from handbone_cli import DatasetContext, HandboneError, PackedMask
from handbone_cli.testing import BONES, check_dataset
from handbone_cli.testing.tiny import draw_tiny_hand, write_png
from handbone_datasets.labelme import LabelmeOptions, build, read_shapes

NAMES = tuple(sorted(BONES))
SIZE = 40


def dataset(root, **options):
    return build(LabelmeOptions(**options), DatasetContext(root))


def encoded(image):
    return base64.b64encode(cv2.imencode(".png", image)[1].tobytes()).decode()


def shape(label, points, kind="polygon", **more):
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, **more}


def write(root, place, person=0, *, image=True, json_place=None, shapes=None, **content):
    pixels, outlines = draw_tiny_hand(person, 0, SIZE, 4)
    if image:
        write_png(root / f"{place}.png", pixels)
    if shapes is None:
        shapes = [shape(b, o.tolist()) for b, o in zip(BONES, outlines, strict=True)]
    whole = {"version": "5.4", "flags": {}, "shapes": shapes, "imagePath": f"{place}.png",
             "imageData": None, "imageHeight": SIZE, "imageWidth": SIZE, **content}  # fmt: skip
    path = root / f"{json_place or place}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole))
    return path


def masks_of(person):
    _, outlines = draw_tiny_hand(person, 0, SIZE, 4)
    polygons = {
        NAMES.index(b): [o.astype(np.float32)] for b, o in zip(BONES, outlines, strict=True)
    }
    return PackedMask.from_polygons(polygons, (SIZE, SIZE), 4).dense()


def dense(sample, classes=4):
    size = sample.read_image().shape
    return PackedMask.from_labels(sample.read_labels(), size, classes).dense()


def test_json_beside_the_images(tmp_path):
    for person in range(3):
        write(tmp_path, f"P{person}_L", person)
    films = dataset(tmp_path, person="(P.)", side="_([LR])", spacing=0.3)
    check_dataset(films)
    assert (films.class_names, films.problems()) == (NAMES, [])
    samples = films.samples("train")
    assert [(s.image_id, s.person, s.side, s.spacing) for s in samples] == [
        (f"P{person}_L", f"P{person}", "left", (0.3, 0.3)) for person in range(3)
    ]
    assert samples[0].path == tmp_path / "P0_L.png"
    for person, sample in enumerate(samples):
        assert np.array_equal(dense(sample), masks_of(person))


def test_splits(tmp_path):
    for place in ("train/a", "val/b", "test/c"):
        write(tmp_path, place, imagePath=f"{place[-1]}.png")
    films = dataset(tmp_path)
    check_dataset(films)
    ids = [[sample.image_id for sample in films.samples(split)] for split in ("train", "test")]
    assert ids == [["a", "b"], ["c"]]


@pytest.mark.parametrize("written", ["../images/a.png", "..\\images\\a.png"])
def test_a_folder_of_its_own(tmp_path, written):
    write(tmp_path, "images/a", json_place="labels/x", imagePath=written)
    films = dataset(tmp_path)
    (sample,) = films.samples("train")
    assert (sample.image_id, films.problems()) == ("a", [])
    assert np.array_equal(dense(sample), masks_of(0))


def test_an_image_path_that_leads_nowhere_gives_way_to_the_name(tmp_path):
    write(tmp_path, "a", imagePath="C:\\films\\a.png")
    assert dataset(tmp_path).samples("train")[0].path == tmp_path / "a.png"


def test_an_image_inside_the_json(tmp_path):
    pixels = draw_tiny_hand(0, 0, SIZE, 4)[0]
    path = write(tmp_path, "ID5/a", image=False, imageData=encoded(pixels))
    films = dataset(tmp_path)
    check_dataset(films)
    (sample,) = films.samples("train")
    assert (sample.image_id, sample.person, sample.path) == ("a", "ID5", None)
    assert np.array_equal(sample.read_image(), pixels)
    assert films.problems() == []
    key = sample.key
    write(tmp_path, "ID5/a", image=False, imageData=encoded(255 - pixels))
    assert dataset(tmp_path).samples("train")[0].key != key
    write(tmp_path, "ID5/a", image=False, imageData="!!")
    with pytest.raises(HandboneError) as caught:
        dataset(tmp_path).samples("train")[0].read_image()
    assert str(caught.value) == f"{path}: an image inside it is damaged (base64)."
    write(tmp_path, "ID5/a", image=False, imageData=encoded(pixels)[:80])
    with pytest.raises(HandboneError, match=r"a\.json: imageData: the PNG is cut off"):
        dataset(tmp_path).samples("train")[0].read_image()


def test_types_of_shapes(tmp_path):
    """Filled as labelme fills: rectangles with both corners, circles by centre and a point."""
    crop = np.zeros((3, 4), np.uint8)
    crop[1, 1:] = 255
    path = write(
        tmp_path,
        "a",
        shapes=[
            shape("box", [[8, 9], [3.2, 4]], "rectangle"),
            shape("ring", [[20, 20], [20, 28]], "circle"),
            shape("brush", [[30, 5], [33, 7]], "mask", mask=encoded(crop)),
            shape("old", [[1, 30], [4, 30], [4, 35]], None),
            shape("tilted", [[10, 30], [14, 30], [14, 33], [10, 33]], "oriented_rectangle"),
            shape("box", [[0, 0], [5, 5]], "line"),
        ],
    )
    films = dataset(tmp_path)
    check_dataset(films)
    assert films.class_names == ("box", "brush", "old", "ring", "tilted")
    box, brush, old, ring, tilted = dense(films.samples("train")[0], 5)
    assert box.sum() == 36
    assert box[4:10, 3:9].all()
    assert np.argwhere(brush).tolist() == [[6, 31], [6, 32], [6, 33]]
    assert old.sum() > 10
    assert tilted.sum() == 20
    assert abs(ring.sum() - np.pi * 8.5**2) < 20
    assert (np.argwhere(ring).min(axis=0).tolist(), np.argwhere(ring).max(axis=0).tolist()) == (
        [12, 12],
        [28, 28],
    )
    assert films.problems() == [
        f"{path}: a shape of type 'line' has no inside and is left out.",
    ]


def test_shapes_of_one_label_are_united_even_with_masks(tmp_path):
    crop = np.full((2, 2), 255, np.uint8)
    write(tmp_path, "a", shapes=[
        shape("one", [[0, 0], [1, 1]], "rectangle", group_id=1),
        shape("one", [[5, 5], [6, 6]], "mask", mask=encoded(crop)),
        shape("two", [[5, 5], [6, 6]], "rectangle"),
    ])  # fmt: skip
    labels = dataset(tmp_path).samples("train")[0].read_labels()
    assert labels.areas().tolist() == [8, 4]


def test_no_shapes_say_that_there_is_nothing(tmp_path):
    write(tmp_path, "a")
    path = write(tmp_path, "b", shapes=[])
    films = dataset(tmp_path)
    assert films.samples("train")[1].read_labels() == {}
    assert films.problems() == [f"{path}: missing {', '.join(NAMES)}."]


FORM = '{"shapes": [{"label": ..., "points": [[x, y], ...]}]}'


def test_problems(tmp_path):
    write(tmp_path, "a")
    write_png(tmp_path / "bare.png", np.zeros((SIZE, SIZE), np.uint8))
    (tmp_path / "b.json").write_text("{")
    write_png(tmp_path / "b.png", np.zeros((SIZE, SIZE), np.uint8))
    (tmp_path / "c.json").write_text("{")
    (tmp_path / "other.json").write_text('{"images": []}')
    write(tmp_path, "lost", image=False)
    write(tmp_path, "again", json_place="z", imagePath="a.png", image=False)
    small = write(tmp_path, "small", imageHeight=99)
    two = write(tmp_path, "two", shapes=[shape("Radius", [[1, 1], [2, 2]])])
    strange = write(tmp_path, "strange", shapes=[shape("Lunate", [[1, 1], [2, 2], [50, 3]])])
    out = write(tmp_path, "out", shapes=[
        shape("Ulna", [[38, 38], [40, 40]], "mask", mask=encoded(np.ones((3, 3), np.uint8)))
    ])  # fmt: skip
    wrong = write(tmp_path, "wrong", shapes=[
        shape("Ulna", [[3, 3], [4, 4]], "mask", mask=encoded(np.ones((3, 3), np.uint8)))
    ])  # fmt: skip
    (tmp_path / "torn.png").write_bytes(b"")
    write(tmp_path, "torn", image=False)
    json_fault = "not JSON (line 1: Expecting property name enclosed in double quotes)."
    assert dataset(tmp_path, class_names=BONES).problems() == [
        f"{tmp_path}/c.json: {json_fault}",
        f"{tmp_path}/lost.json: its image is not there, nor inside (imagePath).",
        f"{tmp_path}/other.json: not labelme's form; expected {FORM}.",
        f"{tmp_path}/z.json: its image has labels in {tmp_path}/a.json.",
        f"{tmp_path}/b.json: {json_fault}",
        f"{tmp_path}/bare.png: the image has no labels.",
        f"{out}: the mask of 'Ulna' leaves the image (40 x 40).",
        f"{small}: drawn on an image of 40 x 99 pixels, but it has 40 x 40.",
        f"{strange}: 'Lunate' is no known class.",
        f"{strange}: missing {', '.join(BONES)}.",
        f"{tmp_path}/torn.png: the file is empty.",
        f"{two}: 'Radius': expected at least 3 points [x, y].",
        f"{wrong}: the mask of 'Ulna' has another size than its points say.",
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "not labelme's form"),
        ({"shapes": 3}, "not labelme's form"),
        ({"shapes": [{"points": []}]}, "not labelme's form"),
        ({"shapes": [3]}, "not labelme's form"),
        ({"shapes": [shape("a", [[1, 2], [3, None], [4, 5]])]}, "'a': expected at least 3 points"),
        ({"shapes": [shape("a", None)]}, "'a': expected at least 3 points"),
        ({"shapes": [shape("a", [[1, 2]], "circle")]}, "'a': expected at least 2 points"),
        ({"shapes": [shape("a", [[1, 1], [2, 2]], "mask")]}, "an image inside it is damaged"),
    ],
)
def test_json_of_another_form(tmp_path, content, words):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(content))
    with pytest.raises(HandboneError) as caught:
        read_shapes(path, ("a",), lambda: np.zeros((9, 9)))
    assert str(caught.value).startswith(f"{path}: {words}")


def test_what_is_no_such_dataset(tmp_path):
    with pytest.raises(HandboneError, match="no image in it and no labelme JSON"):
        dataset(tmp_path)
    write_png(tmp_path / "a.png", np.zeros((4, 4), np.uint8))
    with pytest.raises(HandboneError, match=r"no shape in any labelme JSON; expected NAME.json"):
        dataset(tmp_path)
    check_dataset(dataset(tmp_path, class_names=BONES))
