from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.store.boxes import CORE, FLOOR, MARGIN, BoxedProbabilities

SIZE = (100, 120)
WHOLE = (0, 100, 0, 120)


def boxed(*planes):
    return BoxedProbabilities.from_planes(len(planes), SIZE, lambda c: (planes[c], WHOLE))


def blank(value=0):
    return np.full(SIZE, value, np.uint8)


def test_the_constants_are_those_of_the_format():
    assert (FLOOR, CORE, MARGIN) == (12, 64, 16)


@pytest.mark.parametrize("value", [0, 12])
def test_up_to_the_floor_there_is_nothing(value):
    result = boxed(blank(value))
    assert result.box(0) == (0, 0, 0, 0)
    assert result.crops[0].size == 0
    assert not result.crop(0, WHOLE).any()


def test_the_box_is_that_of_the_core_grown_and_clipped():
    plane = blank(63)  # everywhere above the floor, nowhere core
    plane[40:50, 5:110] = 64
    result = boxed(plane)
    assert result.box(0) == (24, 66, 0, 120)
    assert np.array_equal(result.crops[0], plane[24:66])


def test_inside_the_box_the_floor_becomes_zero_and_the_rest_stays():
    plane = blank(12)
    plane[50, 60] = 64
    plane[51, 60] = 13
    result = boxed(plane)
    assert result.box(0) == (34, 67, 44, 77)
    expected = blank()
    expected[50, 60], expected[51, 60] = 64, 13
    assert np.array_equal(result.crop(0, WHOLE), expected)


@pytest.mark.parametrize("highest", [13, 63])
def test_a_weak_bone_keeps_its_maximum_grown(highest):
    plane = blank()
    plane[30, 40], plane[32, 45] = highest, highest
    plane[90, 110] = highest - 1
    assert boxed(plane).box(0) == (14, 49, 24, 62)


def test_planes_may_come_in_a_box_of_the_image():
    plane = blank()
    plane[40:50, 60:70] = 200
    place = (35, 55, 50, 80)
    inside = plane[35:55, 50:80]
    result = BoxedProbabilities.from_planes(1, SIZE, lambda _: (inside, place))
    assert result.box(0) == place
    assert np.array_equal(result.crop(0, WHOLE), plane)


def test_an_empty_plane_is_a_class_that_is_nowhere():
    nothing = np.zeros((0, 0), np.uint8), (0, 0, 0, 0)
    assert BoxedProbabilities.from_planes(1, SIZE, lambda _: nothing).box(0) == (0, 0, 0, 0)


@pytest.mark.parametrize("seed", range(5))
def test_any_box_of_the_image_can_be_cut_out(seed):
    draw = np.random.default_rng(seed)
    plane = blank()
    y, x = draw.integers(0, 90), draw.integers(0, 110)
    plane[y : y + 30, x : x + 30] = draw.integers(0, 256, SIZE)[y : y + 30, x : x + 30]
    result = boxed(plane)
    whole = result.crop(0, WHOLE)
    for _ in range(10):
        (y0, y1), (x0, x1) = (np.sort(draw.choice(side + 1, 2, replace=False)) for side in SIZE)
        assert np.array_equal(result.crop(0, (y0, y1, x0, x1)), whole[y0:y1, x0:x1])


@pytest.fixture
def saved(tmp_path):
    plane = blank()
    plane[10:30, 20:50] = np.random.default_rng(0).integers(0, 256, (20, 30))
    result = boxed(plane, blank(), plane[::-1])
    result.save(tmp_path / "image.npz")
    return result, tmp_path / "image.npz"


def test_a_file_is_readable_by_numpy_alone(saved):
    result, path = saved
    with np.load(path, allow_pickle=False) as members:
        assert sorted(members.files) == ["boxes", "q0", "q1", "q2", "size"]
        assert (members["boxes"].dtype, members["boxes"].shape) == (np.int32, (3, 4))
        assert members["size"].tolist() == [100, 120]
        assert members["boxes"][1].tolist() == [0, 0, 0, 0]
        for index in range(3):
            assert members[f"q{index}"].dtype == np.uint8
            assert np.array_equal(members[f"q{index}"], result.crops[index])


def test_a_file_comes_back(saved):
    result, path = saved
    again = BoxedProbabilities.load(path)
    assert again.size == result.size
    for index in range(3):
        assert again.box(index) == result.box(index)
        assert np.array_equal(again.crop(index, WHOLE), result.crop(index, WHOLE))


def test_a_missing_file(tmp_path):
    path = tmp_path / "none.npz"
    with pytest.raises(HandboneError) as caught:
        BoxedProbabilities.load(path)
    assert str(caught.value) == f"{path}: missing from the store; predict it again."


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.99])
def test_a_torn_file_is_one_sentence(saved, share):
    _, path = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(HandboneError, match="not a readable part of a store") as caught:
        BoxedProbabilities.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(
        f"; drop it with `hb store verify {path.parent.parent} --forget` and predict again."
    )


def test_no_flipped_byte_ends_in_a_traceback(saved):
    _, path = saved
    content = path.read_bytes()
    refused = 0
    for place in range(0, len(content), 29):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            BoxedProbabilities.load(path)
        except HandboneError:
            refused += 1
    assert refused > len(content) / 29 / 2


@pytest.mark.parametrize("missing", ["size", "boxes", "q0"])
def test_a_file_without_a_member_is_refused(tmp_path, missing):
    members = {
        "size": np.array([4, 4]),
        "boxes": np.zeros((1, 4), np.int32),
        "q0": np.zeros((0, 0), np.uint8),
    }
    del members[missing]
    np.savez(tmp_path / "x.npz", **members)
    with pytest.raises(HandboneError, match=missing):
        BoxedProbabilities.load(tmp_path / "x.npz")


def test_pickles_are_not_read(tmp_path):
    boxes = np.array([{"a": 1}], object)
    np.savez(tmp_path / "x.npz", size=np.array([4, 4]), boxes=boxes)
    with pytest.raises(HandboneError, match="not a readable part of a store"):
        BoxedProbabilities.load(tmp_path / "x.npz")
