from __future__ import annotations

import json

import numpy as np
import pytest

from handbone_cli import DatasetContext, HandboneError, PackedMask
from handbone_cli.testing import BONES, check_dataset
from handbone_cli.testing.tiny import draw_tiny_hand, write_png
from handbone_datasets.coco import CocoOptions, build

SIZE = 40


def dataset(root, **options):
    return build(CocoOptions(**options), DatasetContext(root))


def run_lengths(mask):
    flat = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return {"size": list(mask.shape), "counts": np.diff([0, *edges]).tolist()}


def hand(person, side=0):
    image, outlines = draw_tiny_hand(person, side, SIZE, 4)
    polygons = {index: [outline.astype(np.float32)] for index, outline in enumerate(outlines)}
    return image, PackedMask.from_polygons(polygons, (SIZE, SIZE), 4).dense()


def coco(names, categories=BONES, **extra):
    """The content of an annotation file for images of hands, one run-length mask a bone."""
    images, annotations = [], []
    for number, name in enumerate(names):
        person = int("".join(c for c in name if c.isdigit())[:2])
        images.append({"id": number, "file_name": name, "height": SIZE, "width": SIZE, **extra})
        annotations += [
            {"id": 10 * number + index, "image_id": number, "category_id": 7 * index,
             "segmentation": run_lengths(mask), "iscrowd": 0}
            for index, mask in enumerate(hand(person, name.count("_R"))[1])
        ]  # fmt: skip
    listed = [{"id": 7 * index, "name": name} for index, name in enumerate(categories)]
    return {"images": images, "categories": listed[::-1], "annotations": annotations}


def write(root, folder, names, json_name="a.json", change=None, images=None):
    content = coco(names)
    if change:
        change(content)
    place = root / folder
    place.mkdir(parents=True, exist_ok=True)
    (place / json_name).write_text(json.dumps(content))
    for name in names:
        person = int("".join(c for c in name if c.isdigit())[:2])
        image = hand(person, name.count("_R"))[0]
        write_png((root / (images if images is not None else folder)) / name, image)
    return place / json_name


@pytest.fixture
def root(tmp_path):
    write(tmp_path, "train", ["P01_L.png", "P01_R.png"])
    write(tmp_path, "val", ["P02_L.png"])
    write(tmp_path, "test", ["P03_L.png"])
    return tmp_path


def test_splits_and_masks(root):
    films = dataset(root, person=r"(P\d+)_", side="_([LR])", spacing=0.2)
    check_dataset(films)
    assert films.class_names == BONES  # by category id, whatever their order in the file
    assert films.problems() == []
    samples = [*films.samples("train"), *films.samples("test")]
    assert [(s.image_id, s.person, s.side, s.spacing) for s in samples] == [
        ("P01_L", "P01", "left", (0.2, 0.2)),
        ("P01_R", "P01", "right", (0.2, 0.2)),
        ("P02_L", "P02", "left", (0.2, 0.2)),
        ("P03_L", "P03", "left", (0.2, 0.2)),
    ]
    for sample, number, side in zip(samples, (1, 1, 2, 3), (0, 1, 0, 0), strict=True):
        assert np.array_equal(sample.read_labels().dense(), hand(number, side)[1])
    overlaps = [sample.read_labels().dense().sum(axis=0).max() for sample in samples]
    assert max(overlaps) > 1


@pytest.mark.parametrize(
    ("files", "images"),
    [
        ([("annotations", "instances_train2017.json"), ("annotations", "instances_test2017.json")],
         ["train2017", "test2017"]),
        ([("", "train.json"), ("", "test.json")], ["images", "images"]),
        ([("annotations", "Train_x.json"), ("annotations", "x_TEST.json")], ["", ""]),
    ],
)  # fmt: skip
def test_loose_annotation_files(tmp_path, files, images):
    for (folder, name), where, image in zip(files, images, ("P01.png", "P02.png"), strict=True):
        write(tmp_path, folder, [image], name, images=where)
    films = dataset(tmp_path)
    check_dataset(films)
    ids = {split: [s.image_id for s in films.samples(split)] for split in ("train", "test")}
    assert ids == {"train": ["P01"], "test": ["P02"]}
    assert films.problems() == []


def test_a_name_that_only_holds_test(tmp_path):
    write(tmp_path, "", ["P01.png"], "latest.json")
    films = dataset(tmp_path)
    assert [s.image_id for s in films.samples("train")] == ["P01"]
    assert list(films.samples("test")) == []


def test_several_files_of_a_split_are_united(tmp_path):
    write(tmp_path, "train", ["P01.png", "P02.png"])

    def square(x):
        return [x, 1, x + 4, 1, x + 4, 5, x, 5]

    def erosions(content):
        content["categories"] = [{"id": 3, "name": "Erosion"}, {"id": 0, "name": "Radius"}]
        content["annotations"] = [
            {"id": n, "image_id": 0, "category_id": c, "segmentation": [square(x)]}
            for n, (c, x) in enumerate([(3, 1), (3, 20), (0, 30)])
        ]

    write(tmp_path, "train", ["P01.png"], "b.json", erosions)
    films = dataset(tmp_path)
    assert films.class_names == (*BONES, "Erosion")
    first, second = (sample.read_labels().dense() for sample in films.samples("train"))
    assert first[4].sum() == 32  # two instances
    expected = hand(1)[1]
    expected[2, 1:5, 30:34] = True
    assert np.array_equal(first[:4], expected)
    assert not second[4].any()
    only = dataset(tmp_path, annotations="b.json")
    assert only.class_names == ("Radius", "Erosion")


def test_crowds(tmp_path):
    def crowd(content):
        content["annotations"][0]["iscrowd"] = 1

    write(tmp_path, "train", ["P01.png"], change=crowd)
    assert dataset(tmp_path).samples("train")[0].read_labels().areas().min() > 0
    areas = dataset(tmp_path, iscrowd=False).samples("train")[0].read_labels().areas()
    assert (areas == 0).tolist() == [True, False, False, False]


def test_whose_image_it_is_may_stand_in_its_entry(tmp_path):
    def patients(content):
        for image, patient in zip(content["images"], (17, "A"), strict=True):
            image["patient_id"] = patient

    file = write(tmp_path, "train", ["P01.png", "P02.png"], change=patients)
    samples = dataset(tmp_path, person_key="patient_id").samples("train")
    assert [sample.person for sample in samples] == ["17", "A"]
    with pytest.raises(HandboneError) as caught:
        dataset(tmp_path, person_key="patient")
    assert str(caught.value) == f"{file}: 'P01.png' has no 'patient' (data.person_key)."


def test_a_project_that_stands_above_its_categories(tmp_path):
    def roboflow(content):
        for category in content["categories"]:
            category["supercategory"] = "bones-x7"
        content["categories"].append({"id": -1, "name": "bones-x7", "supercategory": "none"})

    write(tmp_path, "train", ["P01.png"], change=roboflow)
    assert dataset(tmp_path).class_names == BONES


def ram_h1200(root):
    """RAM-H1200 as published: BMP, two annotation files a split, categories that are no bone."""
    names = {
        "train": ["JP_SCGH_P0101_20121201_5835_L", "JP_SCGH_P0101_20121201_5836_R"],
        "val": ["JP_SARC_P0101_20130321_9303_R"],
        "test": ["JP_SARC_P0102_20131022_0796_R"],
    }

    def change(content):
        content["categories"] += [{"id": 100, "name": "SoftTissue"}, {"id": 101, "name": "Ring"}]
        soft = {"id": 900, "image_id": 0, "category_id": 100, "segmentation": [[0, 0, 9, 0, 9, 9]]}
        content["annotations"].append(soft)

    for split, stems in names.items():
        folder = f"Segmentation/{split}"
        write(root, folder, [f"{s}.bmp" for s in stems], "_annotations_bone_rle.coco.json", change)
        (root / folder / "_annotations_be_rle.coco.json").write_text(
            json.dumps({"images": [], "categories": [{"id": 1, "name": "SvdH-BE-90"}]})
        )


@pytest.mark.parametrize("below", ["", "Segmentation"])
def test_ram_h1200(tmp_path, below):
    ram_h1200(tmp_path)
    films = dataset(tmp_path / below, layout="ram_h1200")
    check_dataset(films)
    assert films.problems() == []
    assert films.class_names == BONES
    assert [(s.image_id, s.person, s.side) for s in films.samples("train")] == [
        ("JP_SCGH_P0101_20121201_5835_L", "JP_SCGH_P0101", "left"),
        ("JP_SCGH_P0101_20121201_5836_R", "JP_SCGH_P0101", "right"),
        ("JP_SARC_P0101_20130321_9303_R", "JP_SARC_P0101", "right"),
    ]
    assert [s.person for s in films.samples("test")] == ["JP_SARC_P0102"]
    soft = dataset(tmp_path / below, layout="ram_h1200", ignore=["Ring"])
    assert soft.class_names == (*BONES, "SoftTissue")


def test_problems(root):
    def change(content):
        one, two = content["annotations"][:2]
        content["annotations"] += [
            {**one, "id": 50, "image_id": 9},
            {**one, "id": 51, "category_id": 9},
            {**one, "id": 52, "segmentation": None},
            {**one, "id": 53, "image_id": 1, "segmentation": [[1, 2, 3]]},
        ]
        two["segmentation"]["counts"][0] += 1
        content["images"] += [
            {"id": 2, "file_name": "lost.png", "height": SIZE, "width": SIZE},
            {"id": 3, "file_name": "P04_L.png", "height": 41, "width": SIZE},
            {"id": 4, "file_name": "P05_L.png"},
        ]
        content["annotations"] += [{**one, "id": 54, "image_id": n} for n in (2, 3)]

    file = write(root, "train", ["P01_L.png", "P01_R.png"], change=change)
    for name in ("P04_L", "P05_L", "P06_L"):
        write_png(root / f"train/{name}.png", hand(4)[0])
    films = dataset(root, ignore=["Ulna"], class_names=BONES[:2], person="(P0[123]|lost|P0)")
    where = f"{root}/train"
    assert films.problems() == [
        f"{file}: annotation 50: there is no image 9.",
        f"{file}: annotation 51: there is no category 9.",
        f"{file}: annotation 52: it has no segmentation.",
        f"{root}: the category 'Radius' is no known class.",
        f"{where}/P06_L.png: the image is in no annotation file.",
        f"{file}: annotation 1: its run lengths do not add up to an image of 40 x 40 pixels.",
        f"{file}: annotation 53: a polygon of it is no list of numbers x, y, x, y ....",
        f"{where}/lost.png: cannot read it: there is no such file or folder.",
        f"{where}/P04_L.png: its entry says: 40 x 41 pixels, but the image has 40 x 40.",
        f"{where}/P05_L.png: nothing is annotated in the image.",
    ]
    assert films.samples("train")[4].read_labels is None


def test_one_person_in_two_splits(root):
    problems = dataset(root, person="(P0)").problems()
    assert problems == ["'P0' has images both to train on and to test with."]


def test_run_lengths_of_another_size(tmp_path):
    def change(content):
        content["annotations"][3]["segmentation"] = run_lengths(np.ones((3, 5), bool))

    file = write(tmp_path, "train", ["P01.png"], change=change)
    with pytest.raises(HandboneError) as caught:
        dataset(tmp_path).samples("train")[0].read_labels()
    assert str(caught.value) == (f"{file}: annotation 3: 5 x 3 pixels, but the image has 40 x 40.")


def test_windows_paths_and_folders(tmp_path):
    def change(content):
        content["images"][0]["file_name"] = "ID7\\P01.png"

    write(tmp_path, "train", ["P01.png"], change=change)
    (tmp_path / "train/ID7").mkdir()
    (tmp_path / "train/P01.png").rename(tmp_path / "train/ID7/P01.png")
    (sample,) = dataset(tmp_path).samples("train")
    assert (sample.image_id, sample.person) == ("P01", "ID7")
    assert sample.read_image().shape == (SIZE, SIZE)


def test_keys_follow_annotations_and_classes(root):
    key = dataset(root).samples("train")[0].key
    assert dataset(root).samples("train")[0].key == key
    assert dataset(root, class_names=BONES[::-1]).samples("train")[0].key != key


IMAGE = {"id": 1, "file_name": "a", "height": "x", "width": 2}
WRONG_SIZE = json.dumps({"images": [IMAGE], "categories": []})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "not JSON (line 1"),
        ("[]", "not COCO's form; expected images, categories and annotations"),
        ('{"images": [{"id": 1}], "categories": []}', "not COCO's form"),
        ('{"images": [], "categories": [{"id": 1}]}', "not COCO's form"),
        (WRONG_SIZE, "not COCO's form"),
        ('{"images": [], "categories": [], "annotations": [3]}', "not COCO's form"),
        ('{"images": [], "categories": []}', "no category in it (data.ignore, data.class_names)."),
    ],
)
def test_files_of_another_form(tmp_path, content, words):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(HandboneError) as caught:
        dataset(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/a.json: {words}")


def test_no_annotations(tmp_path):
    with pytest.raises(HandboneError) as caught:
        dataset(tmp_path, annotations="x*.json")
    assert str(caught.value) == (
        f"{tmp_path}: no annotations 'x*.json' in it, in 'annotations' or in one of train, val, "
        "test (data.root, data.annotations)."
    )
