from __future__ import annotations

import os

import cv2
import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.exporting import (
    DTYPES,
    export_masks,
    export_npy,
    export_npz,
    is_current,
    mark_current,
    require_file_names,
)
from handbone_cli.store.importing import ArrayForm, read_probabilities

SIZE = (50, 60)
NAMES = ("Radius", "Ulna")


def boxed(seed=0):
    """Every q there is; the second class is weak: its box is that of its maximum."""
    draw = np.random.default_rng(seed)
    planes = np.zeros((2, *SIZE), np.uint8)
    planes[0, 20:40, 10:40] = draw.integers(0, 256, (20, 30))
    planes[1, 5:25, 30:50] = draw.integers(0, 64, (20, 20))
    return BoxedProbabilities.from_planes(2, SIZE, lambda c: (planes[c], (0, 50, 0, 60)))


def whole(found):
    return np.array([found.crop(index, (0, 50, 0, 60)) for index in range(2)])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_a_cube_is_readable_by_numpy_and_comes_back_to_the_bit(tmp_path, dtype, suffix):
    found, path = boxed(), tmp_path / f"x.{suffix}"
    if suffix == "npy":
        export_npy(path, found, dtype)
        cube = np.load(path, allow_pickle=False)
    else:
        export_npz(path, found, dtype, NAMES)
        with np.load(path, allow_pickle=False) as members:
            assert members["class_names"].tolist() == list(NAMES)
            cube = members["probabilities"]
    scale = 1 if dtype == "uint8" else 255
    assert (cube.dtype, cube.shape) == (np.dtype(dtype), (2, *SIZE))
    assert np.array_equal(np.rint(cube.astype(np.float64) * scale), whole(found))
    again = read_probabilities(path, 2, ArrayForm())
    assert np.array_equal(again.boxes, found.boxes)
    assert np.array_equal(whole(again), whole(found))


def test_the_same_content_gives_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        export_npz(tmp_path / name, boxed(), "float16", NAMES)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_masks_are_those_of_a_decision(tmp_path, threshold):
    found = boxed()
    export_masks(tmp_path / "image", found, NAMES, threshold)
    for name, q in zip(NAMES, whole(found), strict=True):
        mask = cv2.imread(str(tmp_path / "image" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert (mask.dtype, mask.ndim) == (np.uint8, 2)
        assert np.array_equal(mask, np.where(q > 255 * threshold, 255, 0))


@pytest.mark.parametrize("name", ["", ".", "..", "../Radius", "a/b", "a\\b"])
def test_classes_that_cannot_name_files(name):
    with pytest.raises(HandboneError, match="cannot name a PNG"):
        require_file_names(["Radius", name])


def test_an_export_is_current_until_its_source_changes(tmp_path):
    source, made = tmp_path / "a.npz", tmp_path / "made"
    source.write_text("1")
    os.utime(source, ns=(0, 10**18))
    assert not is_current(made, source)
    made.mkdir()
    assert not is_current(made, source)
    mark_current(made, source)
    assert is_current(made, source)
    os.utime(source, ns=(0, source.stat().st_mtime_ns - 1))  # an older file was put back
    assert not is_current(made, source)
