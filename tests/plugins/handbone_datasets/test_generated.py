from __future__ import annotations

import numpy as np
import pytest

from handbone_cli import HAND_BONES, DatasetContext, HandboneError, PackedMask
from handbone_datasets import competition
from handbone_datasets.generated import GeneratedOptions, build, draw_hand, pixel_contours

OPTIONS = {"people": 2, "test_people": 1, "size": 128, "generator_seed": 4}


def hands(**changes):
    return build(GeneratedOptions(**{**OPTIONS, **changes}), DatasetContext(None))


def area(points):
    x, y = points.astype(np.float64).T
    return 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))


def test_samples():
    drawn = hands()
    train, test = drawn.samples("train"), drawn.samples("test")
    assert drawn.class_names == HAND_BONES
    assert [(s.image_id, s.person) for s in [*train, *test]] == [
        ("image000000", "ID001"),
        ("image000001", "ID001"),
        ("image000002", "ID002"),
        ("image000003", "ID002"),
        ("image000004", "ID003"),
        ("image000005", "ID003"),
    ]
    image = train[0].read_image()
    assert (image.shape, image.dtype) == ((128, 128), np.uint8)
    assert np.array_equal(image, hands(people=9).samples("train")[0].read_image())
    assert not np.array_equal(image, train[1].read_image())
    assert not np.array_equal(image, hands(generator_seed=5).samples("train")[0].read_image())
    assert drawn.problems() == []


@pytest.mark.slow  # 2 s: three hands at 512 px
def test_contours_fill_to_the_bone_itself():
    """Filled with its border, a contour has the area of the polygon it was made from."""
    ratios = []
    for person in range(3):
        hand = draw_hand(1, person, 0, 512)
        for outline in hand.outlines:
            (contour,) = pixel_contours(outline, 512)
            assert (contour == np.rint(contour)).all()
            assert contour.min() >= 0
            assert contour.max() <= 511
            if outline.min() > 1 and outline.max() < 511:
                mask = PackedMask.from_polygons({0: [contour]}, (512, 512), 1)
                ratios.append(mask.areas()[0] / area(outline))
    assert len(ratios) > 60
    assert abs(np.mean(ratios) - 1) < 0.01
    assert np.abs(np.array(ratios) - 1).max() < 0.1


def test_a_contour_stays_inside_the_image():
    square = np.array([(-20, -20), (30, -20), (30, 30), (-20, 30)], np.float32)
    (contour,) = pixel_contours(square, 64)
    assert contour.min() == 0
    mask = PackedMask.from_polygons({0: [contour]}, (64, 64), 1)
    assert mask.areas().tolist() == [900]
    assert pixel_contours(square + 200, 64) == []


def test_what_is_hidden_is_not_outlined():
    square = np.array([(10, 10), (50, 10), (50, 30), (10, 30)], np.float32)
    seen = np.ones((64, 64), np.uint8)
    seen[:, 20:26] = 0
    found = pixel_contours(square, 64, seen)
    mask = PackedMask.from_polygons({0: found}, (64, 64), 1)
    assert len(found) == 2
    assert mask.areas().tolist() == [34 * 20]
    assert not mask.dense()[0][seen == 0].any()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root, reports = tmp_path_factory.mktemp("generated") / "hands", []
    hands().write(root, lambda *progress: reports.append(progress))
    assert reports == [(done, 6) for done in range(1, 7)]
    return root


def stamps(root):
    return {path: path.stat().st_mtime_ns for path in root.rglob("*.*") if path.suffix != ".csv"}


def test_what_is_written_is_what_was_drawn(written):
    read = competition.build(competition.CompetitionOptions(), DatasetContext(written))
    for split in ("train", "test"):
        pairs = list(zip(hands().samples(split), read.samples(split), strict=True))
        assert pairs
        for drawn, file in pairs:
            assert (drawn.image_id, drawn.person) == (file.image_id, file.person)
            assert np.array_equal(drawn.read_image(), file.read_image())
            masks = [
                PackedMask.from_polygons(s.read_labels(), (128, 128), 29) for s in (drawn, file)
            ]
            assert np.array_equal(masks[0].planes, masks[1].planes)
    assert [p for p in read.problems() if "missing" not in p] == []


def test_meta_data(written):
    lines = (written / "meta_data.csv").read_text().splitlines()
    assert lines[0] == "ID,Age,Gender,Weight,Height"
    assert [line.split(",")[0] for line in lines[1:]] == ["ID001", "ID002", "ID003"]
    for line in lines[1:]:
        _, age, sex, weight, height = line.split(",")
        assert 20 <= int(age) < 70
        assert sex in "FM"
        assert 30 < int(weight) < 130
        assert 135 < int(height) < 205


def test_writing_continues(written):
    """What is there is left alone; what is missing is drawn again, the same."""
    before = stamps(written)
    lost = written / "train/DCM/ID002/image000003.png"
    content = lost.read_bytes()
    lost.unlink()
    hands().write(written, lambda *_: None)
    after = stamps(written)
    assert lost.read_bytes() == content
    assert {p: t for p, t in after.items() if p != lost} == {
        p: t for p, t in before.items() if p != lost
    }


def test_other_options_or_files_are_refused(written, tmp_path):
    before = stamps(written)
    with pytest.raises(HandboneError, match=r"holds files made with other settings"):
        hands(size=64).write(written, lambda *_: None)
    assert stamps(written) == before
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(HandboneError, match="the folder is not empty; choose another one"):
        hands().write(tmp_path, lambda *_: None)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_endless_hands_are_new_ones():
    fixed = hands(people=2, test_people=1, endless=True)
    drawn = [fixed.draw(number) for number in range(4)]
    known = {s.person for split in ("train", "test") for s in fixed.samples(split)}
    assert [(s.person, s.side, s.key) for s in drawn] == [
        ("ID004", "left", None),
        ("ID004", "right", None),
        ("ID005", "left", None),
        ("ID005", "right", None),
    ]
    assert not known & {s.person for s in drawn}
    assert np.array_equal(fixed.draw(2).read_image(), drawn[2].read_image())
    assert fixed.endless
    assert not hands().endless


def test_a_hand_has_one_key_a_setting():
    keys = {
        sample.key
        for options in ({}, {"generator_seed": 9}, {"size": 64})
        for sample in hands(**options).samples("train")
    }
    assert len(keys) == 3 * len(hands().samples("train"))
