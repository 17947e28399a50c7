from __future__ import annotations

import os

import numpy as np
import pytest

from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.exporting import (
    DTYPES,
    export_npy,
    export_npz,
    is_current,
    mark_current,
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


def test_an_export_is_current_until_a_source_changes(tmp_path):
    source, other, made = (tmp_path / name for name in ("a.npz", "b.npz", "made"))
    for path, time in ((source, 10**18), (other, 10**18 - 5)):
        path.write_text("1")
        os.utime(path, ns=(0, time))
    both = [source, other]
    assert not is_current(made, both)
    made.mkdir()
    assert not is_current(made, both)
    mark_current(made, both)
    assert is_current(made, both)
    os.utime(source, ns=(0, 10**18 - 1))  # an older file was put back
    assert not is_current(made, both)
    mark_current(made, both)
    os.utime(other, ns=(0, 10**18))
    assert not is_current(made, both)
