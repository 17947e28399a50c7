from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.masks import PackedMask
from handbone_cli.store import importing
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.importing import ArrayForm, from_masks, read_probabilities

SIZE = (70, 90)
WHOLE = (0, 70, 0, 90)


def maps(classes=3):
    """(C, H, W) float32 with a hill a class and a tail around it."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    centres = [(20 + 9 * index, 25 + 12 * index) for index in range(classes)]
    hills = [np.exp(-((y - a) ** 2 + (x - b) ** 2) / 90) for a, b in centres]
    return np.array(hills, np.float32)


def expected(cube):
    q = np.rint(cube.astype(np.float32) * np.float32(255)).astype(np.uint8)
    return BoxedProbabilities.from_planes(len(q), SIZE, lambda index: (q[index], WHOLE))


def same(one, other):
    assert one.size == other.size
    assert np.array_equal(one.boxes, other.boxes)
    for mine, theirs in zip(one.crops, other.crops, strict=True):
        assert np.array_equal(mine, theirs)


def read(tmp_path, array, classes=3, size=None, name="x.npy", **form):
    path = tmp_path / name
    if name.endswith(".npy"):
        np.save(path, array)
    else:
        np.savez_compressed(path, **array)
    return read_probabilities(path, classes, ArrayForm(**form), size)


def said(tmp_path, *arguments, **named):
    with pytest.raises(HandboneError) as caught:
        read(tmp_path, *arguments, **named)
    return str(caught.value).removeprefix(f"{tmp_path / named.get('name', 'x.npy')}: ")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4"])
@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("fortran", [False, True])
def test_floats_in_either_order(tmp_path, monkeypatch, dtype, last, fortran):
    monkeypatch.setattr(importing, "ROWS", 16)
    cube = maps().astype(dtype)
    array = np.ascontiguousarray(np.moveaxis(cube, 0, -1)) if last else cube
    array = np.asfortranarray(array) if fortran else array
    same(read(tmp_path, array), expected(cube))


def test_only_what_is_above_the_floor_comes_back(tmp_path):
    """q from 13 on, in the box of q >= 64 grown by 16 px; everything else is 0."""
    cube = maps(1)
    q = np.rint(cube[0] * np.float32(255)).astype(np.uint8)
    found = read(tmp_path, cube, 1)
    y0, y1, x0, x1 = found.box(0)
    inside = np.zeros(SIZE, bool)
    inside[y0:y1, x0:x1] = True
    assert ((q > 0) & (q <= 12) & inside).any()
    assert np.array_equal(found.crop(0, WHOLE), np.where(inside & (q > 12), q, 0))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.uint16])
def test_masks_of_any_type(tmp_path, kind):
    masks = maps() > 0.5
    same(read(tmp_path, masks.astype(kind)), expected(masks.astype(np.float32)))


def test_uint8_is_q_itself(tmp_path):
    cube = maps()
    same(read(tmp_path, np.rint(cube * 255).astype(np.uint8)), expected(cube))


def test_logits(tmp_path):
    logits = (maps() * 20 - 10).astype(np.float32)
    logits[:, :3] = -1e4
    found = read(tmp_path, logits, logits=True)
    truth = 1 / (1 + np.exp(-logits.astype(np.float64).clip(-500, 500)))
    for index in range(3):
        error = found.crop(index, WHOLE).astype(int) - expected(truth).crop(index, WHOLE)
        assert np.abs(error).max() <= 1  # a sigmoid at just half a step rounds either way
        assert (error != 0).mean() < 0.001


@pytest.mark.parametrize("key", ["probabilities", "softmax"])
@pytest.mark.parametrize("flat", [False, True])
def test_nnunet(tmp_path, key, flat):
    """Softmax has the background in front, region-based training has none."""
    cube = maps() * 0.3
    softmax = np.concatenate([1 - cube.sum(axis=0, keepdims=True), cube])
    for array in (softmax, cube):
        shaped = array if flat else array[:, None]
        same(read(tmp_path, {key: shaped}, name="x.npz"), expected(cube))


def test_a_background_elsewhere_is_said(tmp_path):
    cube = maps(4)
    what = "an array of 4 x 70 x 90; expected 3 classes, as CHW or HWC."
    assert said(tmp_path, cube) == what
    same(read(tmp_path, cube, background=True), expected(cube[1:]))
    assert "expected 4 classes" in said(tmp_path, cube[1:], background=True)


def test_a_channel_too_many_that_is_no_background(tmp_path):
    assert said(tmp_path, {"probabilities": maps(4)}, name="x.npz") == (
        "4 channels for 3 classes, and no softmax (they do not sum to 1); if channel 0 is "
        "background, say --background."
    )
    found = read(tmp_path, {"probabilities": maps(4)}, name="x.npz", background=True)
    same(found, expected(maps(4)[1:]))


def spoilt(value, dtype=np.float32):
    cube = maps().astype(dtype)
    cube[1, 40, 50] = value
    return cube


@pytest.mark.parametrize(
    ("array", "form", "what"),
    [
        (spoilt(np.nan), {}, "holds NaN; expected numbers from 0 to 1."),
        (spoilt(np.nan), {"logits": True}, "holds NaN; expected numbers from 0 to 1."),
        (spoilt(np.inf), {}, "holds infinite values; expected numbers from 0 to 1."),
        (spoilt(1e300, np.float64), {}, "holds infinite values; expected numbers from 0 to 1."),
        (
            spoilt(-3.5),
            {},
            (
                "values from -3.5 to 1, which are no probabilities; if they are logits, say "
                "--logits."
            ),
        ),
        (
            maps() * 255,
            {},
            (
                "values from 0 to 255, which are no probabilities; if they are logits, say "
                "--logits; if they are 255 p, divide by 255."
            ),
        ),
        (
            np.clip(maps(), 0.25, 0.75),
            {"logits": True},
            "values from 0.25 to 0.75 are probabilities, not logits; leave --logits out.",
        ),
        (maps() > 0.5, {"logits": True}, "an array of bool; logits are floats."),
        (
            (maps() * 7).astype(np.int32),
            {},
            ("int32 from 0 to 7; expected masks of 0 and 1, uint8 (255 p), or floats from 0 to 1."),
        ),
        (
            maps().astype(complex),
            {},
            "an array of complex128; expected float16, float32, uint8 or bool.",
        ),
        (np.zeros((3, 0, 5)), {}, "the array has no pixels."),
    ],
)
def test_what_is_no_probability(tmp_path, array, form, what):
    assert said(tmp_path, array, **form) == what


def test_rounding_beyond_one_is_no_mistake(tmp_path):
    cube = np.clip(maps(), 0, 1)
    same(read(tmp_path, spoilt(1.0005)), expected(np.clip(spoilt(1.0005), 0, 1)))
    same(read(tmp_path, cube - np.float32(1e-4)), expected(np.clip(cube - np.float32(1e-4), 0, 1)))


def test_another_size_than_the_image(tmp_path):
    assert said(tmp_path, maps(), size=(90, 90)) == ("70 x 90 pixels, and its image has 90 x 90.")


def test_masks_become_zero_and_one_with_the_stores_margin():
    dense = np.zeros((2, *SIZE), bool)
    dense[0, 30:35, 2:9] = True
    found = from_masks(PackedMask.from_dense(dense))
    same(found, expected(dense.astype(np.float32)))
    assert found.box(0) == (14, 51, 0, 25)
    assert found.box(1) == (0, 0, 0, 0)
