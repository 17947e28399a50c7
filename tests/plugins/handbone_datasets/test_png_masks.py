from __future__ import annotations

import numpy as np
import pytest

from handbone_cli import DatasetContext, HandboneError, PackedMask
from handbone_cli.host.registry import installed
from handbone_cli.testing import BONES, check_dataset
from handbone_cli.testing.tiny import draw_tiny_hand, write_png
from handbone_datasets.png_masks import LAYOUTS, PngMasksOptions, build, read_masks

NAMES = tuple(sorted(BONES))


def dataset(root, **options):
    return build(PngMasksOptions(**options), DatasetContext(root))


def hand(person, side=0, size=40):
    image, outlines = draw_tiny_hand(person, side, size, 4)
    polygons = {index: [outline.astype(np.float32)] for index, outline in enumerate(outlines)}
    return image, PackedMask.from_polygons(polygons, (size, size), 4).dense()


def write_hands(root, layout, *, images="images", masks="masks", people=3, on=255, start=0):
    """Two images a person, each bone's mask where the layout says."""
    truth = {}
    for person in range(start, start + people):
        for side in range(2):
            name = f"P{person}_{'LR'[side]}"
            image, truth[name] = hand(person, side)
            write_png(root / images / f"{name}.png", image)
            if layout == "{image}":
                values = np.zeros(image.shape, np.uint8)
                for index in range(4):
                    values[truth[name][index]] = index + 1
                write_png(root / masks / f"{name}.png", values)
                continue
            for bone, mask in zip(BONES, truth[name], strict=True):
                place = layout.replace("{image}", name).replace("{class}", bone)
                write_png(root / masks / f"{place}.png", mask.astype(np.uint8) * on)
    return truth


@pytest.mark.parametrize("layout", [*LAYOUTS[1:], "mask_{class}_of_{image}"])
@pytest.mark.parametrize("on", [1, 255])
def test_a_file_a_class(tmp_path, layout, on):
    truth = write_hands(tmp_path, layout, on=on)
    chosen = {} if layout in LAYOUTS else {"layout": layout}
    films = dataset(tmp_path, person=r"(P\d+)", side="_([LR])", spacing=0.5, **chosen)
    check_dataset(films)
    assert films.class_names == NAMES
    assert (films.problems(), list(films.samples("test"))) == ([], [])
    samples = films.samples("train")
    assert [(s.image_id, s.person, s.side) for s in samples[:3]] == [
        ("P0_L", "P0", "left"),
        ("P0_R", "P0", "right"),
        ("P1_L", "P1", "left"),
    ]
    assert samples[0].spacing == (0.5, 0.5)
    for sample in samples:
        dense = sample.read_labels().dense()
        order = [BONES.index(name) for name in NAMES]
        assert np.array_equal(dense, truth[sample.image_id][order])
    assert (samples[0].read_labels().dense().sum(axis=0) > 1).any()  # overlaps are kept


def test_index_maps(tmp_path):
    truth = write_hands(tmp_path, "{image}")
    films = dataset(tmp_path, names=dict(enumerate(BONES, start=1)))
    check_dataset(films)
    assert films.class_names == BONES
    dense = films.samples("train")[0].read_labels().dense()
    later = np.zeros((40, 40), bool)
    for index in (3, 2, 1, 0):  # a later number lies on top
        assert np.array_equal(dense[index], truth["P0_L"][index] & ~later)
        later |= truth["P0_L"][index]
    some = dataset(tmp_path, names={2: "Radius", 4: "Ulna"}, class_names=("Ulna", "Radius"))
    assert np.array_equal(some.samples("train")[0].read_labels().dense(), dense[[3, 1]])
    assert some.problems()[0] == (
        f"{tmp_path}/masks/P0_L.png: the values 1, 3 have no class (data.names)."
    )
    assert dataset(tmp_path, names={4: "Ulna", 2: "Radius"}).class_names == ("Radius", "Ulna")
    counted = dataset(tmp_path, class_names=BONES)
    assert np.array_equal(counted.samples("train")[0].read_labels().dense(), dense)
    with pytest.raises(HandboneError, match="holds index maps; say which value is which class"):
        dataset(tmp_path)


def test_names_from_a_recipe_are_numbers(tmp_path):
    write_hands(tmp_path, "{image}")
    given = {"names": {"1": "Radius"}}
    films = installed().build("datasets", "png_masks", given, DatasetContext(tmp_path))
    assert films.class_names == ("Radius",)
    with pytest.raises(HandboneError, match=r"option 'names.0.\[key\]': .* greater than 0"):
        installed().build("datasets", "png_masks", {"names": {"0": "x"}}, DatasetContext(tmp_path))


def test_an_index_map_of_another_size(tmp_path):
    write_hands(tmp_path, "{image}", people=1)
    path = tmp_path / "masks/P0_L.png"
    write_png(path, np.ones((40, 30), np.uint8))
    with pytest.raises(HandboneError) as caught:
        dataset(tmp_path, class_names=BONES).samples("train")[0].read_labels()
    assert str(caught.value) == f"{path}: 30 x 40 pixels, but the image has 40 x 40."


def test_numbers_of_sixteen_bits(tmp_path):
    write_png(tmp_path / "images/a.png", np.zeros((3, 4), np.uint8))
    write_png(tmp_path / "masks/a.png", np.full((3, 4), 700, np.uint16))
    films = dataset(tmp_path, names={700: "Radius", 60000: "Ulna"})
    assert films.samples("train")[0].read_labels().areas().tolist() == [12, 0]


@pytest.mark.parametrize(
    ("images", "masks"), [("{}/images", "{}/masks"), ("images/{}", "masks/{}")]
)
def test_splits(tmp_path, images, masks):
    for start, split in enumerate(("train", "val", "test")):
        write_hands(tmp_path, "{image}/{class}", images=images.format(split),
                    masks=masks.format(split), people=1, start=start)  # fmt: skip
    films = dataset(tmp_path)
    check_dataset(films)
    ids = {split: [s.image_id for s in films.samples(split)] for split in ("train", "test")}
    assert ids == {"train": ["P0_L", "P0_R", "P1_L", "P1_R"], "test": ["P2_L", "P2_R"]}
    assert films.samples("test")[0].read_labels().areas().min() > 0
    fewer = dataset(tmp_path, train=("train",), test=("val",))
    assert [s.image_id for s in fewer.samples("test")] == ["P1_L", "P1_R"]


def test_one_name_in_both_splits_keeps_its_own_masks(tmp_path):
    for start, split in enumerate(("train", "test")):
        image, masks = hand(start)
        write_png(tmp_path / split / "images/a.png", image)
        write_png(tmp_path / split / "masks/a/Ulna.png", masks[3].astype(np.uint8))
    films = dataset(tmp_path)
    (first,), (second,) = films.samples("train"), films.samples("test")
    assert (first.image_id, second.image_id) == ("a", "test__a")
    for sample, person in ((first, 0), (second, 1)):
        assert np.array_equal(sample.read_labels().dense()[0], hand(person)[1][3])
    assert films.problems() == []


def test_folders_of_people(tmp_path):
    for person in ("ID1", "ID2"):
        image, masks = hand(int(person[2]))
        write_png(tmp_path / f"images/{person}/a.png", image)
        write_png(tmp_path / f"masks/{person}/a/Ulna.png", masks[3].astype(np.uint8))
    films = dataset(tmp_path)
    check_dataset(films)
    assert [(s.image_id, s.person) for s in films.samples("train")] == [
        ("ID1__a", "ID1"),
        ("ID2__a", "ID2"),
    ]
    assert np.array_equal(films.samples("train")[1].read_labels().dense()[0], hand(2)[1][3])


def test_names_that_hold_what_parts_them(tmp_path):
    image, masks = hand(1)
    write_png(tmp_path / "images/a__b.png", image)
    for bone in ("Ulna", "the__Radius"):
        write_png(tmp_path / f"masks/a__b__{bone}.png", masks[0].astype(np.uint8))
    assert dataset(tmp_path).class_names == ("Ulna", "the__Radius")
    write_png(tmp_path / "images/a.png", image)
    films = dataset(tmp_path)
    assert films.class_names == ("Ulna", "the__Radius")
    assert [bool(sample.read_labels) for sample in films.samples("train")] == [False, True]


def test_the_longest_name_of_an_image_counts(tmp_path):
    image, masks = hand(1)
    for name in ("b", "a__b"):
        write_png(tmp_path / f"images/{name}.png", image)
        write_png(tmp_path / f"masks/Ulna__{name}.png", masks[0].astype(np.uint8))
    films = dataset(tmp_path, layout="{class}__{image}")
    assert (films.class_names, films.problems()) == (("Ulna",), [])


def test_images_without_masks_are_unlabelled(tmp_path):
    write_hands(tmp_path, "{image}/{class}", people=1)
    write_png(tmp_path / "images/extra.png", hand(5)[0])
    films = dataset(tmp_path)
    assert films.samples("train")[-1].read_labels is None
    assert films.problems() == [f"{tmp_path}/images/extra.png: the image has no mask."]
    bare = dataset(tmp_path, masks="none", class_names=BONES)
    assert bare.problems() == []
    check_dataset(bare)


def test_problems(tmp_path):
    write_hands(tmp_path, "{image}/{class}", people=2)
    masks = tmp_path / "masks"
    (masks / "P0_L/Ulna.png").unlink()
    write_png(masks / "P0_R/Ulna.png", np.zeros((40, 41), np.uint8))
    write_png(
        masks / "P1_L/Ulna.png", np.array([[0, 9], [7, 0]], np.uint8).repeat(20, 0).repeat(20, 1)
    )
    (masks / "P1_R/Radius.png").write_bytes(b"")
    write_png(masks / "P1_R/Lunate.png", np.zeros((40, 40), np.uint8))
    write_png(masks / "P9/Ulna.png", np.zeros((40, 40), np.uint8))
    films = dataset(tmp_path, class_names=BONES)
    assert films.problems() == [
        f"{masks}/P9/Ulna.png: the mask has no image, or is not named '{{image}}/{{class}}'.",
        f"{tmp_path}/images/P0_L.png: missing Ulna.",
        f"{masks}/P0_R/Ulna.png: 41 x 40 pixels, but the image has 40 x 40.",
        f"{masks}/P1_L/Ulna.png: a mask has two values, 0 and 255 or 0 and 1; this one has 3.",
        f"{masks}/P1_R/Lunate.png: 'Lunate' is no known class.",
        f"{masks}/P1_R/Radius.png: the file is empty.",
    ]


def test_the_same_person_in_both_splits(tmp_path):
    for split in ("train", "test"):
        write_hands(tmp_path, "{image}/{class}", images=f"{split}/images", masks=f"{split}/masks",
                    people=1)  # fmt: skip
    problems = dataset(tmp_path, person="(P.)").problems()
    assert problems == ["'P0' has images both to train on and to test with."]


def test_a_mask_that_is_everywhere_or_nowhere(tmp_path):
    for name, value in (("a", 1), ("b", 0)):
        write_png(tmp_path / f"{name}.png", np.full((3, 4), value, np.uint8))
    files = {0: tmp_path / "a.png", 1: tmp_path / "b.png"}
    mask = read_masks(lambda: np.zeros((3, 4)), files, 2)
    assert mask.areas().tolist() == [12, 0]


def test_a_changed_mask_has_another_key(tmp_path):
    write_hands(tmp_path, "{image}/{class}", people=1)
    key = dataset(tmp_path).samples("train")[0].key
    assert dataset(tmp_path).samples("train")[0].key == key
    assert dataset(tmp_path, class_names=BONES).samples("train")[0].key != key
    write_png(tmp_path / "masks/P0_L/Ulna.png", np.ones((40, 40), np.uint8))
    assert dataset(tmp_path).samples("train")[0].key != key


@pytest.mark.parametrize(
    ("files", "options", "words"),
    [
        ([], {}, "no image in 'images', in 'train/images' or in 'images/train' below it"),
        (["images/a.png"], {}, "no mask belongs to an image; expected one of masks/{image}.png,"),
        (["images/a.png", "masks/b/c.png"], {}, "no mask belongs to an image"),
    ],
)
def test_what_is_no_such_dataset(tmp_path, files, options, words):
    for name in files:
        write_png(tmp_path / name, np.zeros((3, 3), np.uint8))
    with pytest.raises(HandboneError) as caught:
        dataset(tmp_path, **options)
    assert str(caught.value).startswith(f"{tmp_path}: {words}")


@pytest.mark.parametrize("layout", ["{class}", "masks", "{image}{class}", "{image}/{bone}"])
def test_layouts_that_are_wrong(tmp_path, layout):
    given = {"layout": layout}
    with pytest.raises(HandboneError, match="dataset 'png_masks', option 'layout'"):
        installed().build("datasets", "png_masks", given, DatasetContext(tmp_path))
