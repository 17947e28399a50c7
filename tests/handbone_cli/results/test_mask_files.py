from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.masks import PackedMask
from handbone_cli.results.mask_files import (
    require_file_names,
    require_packable,
    write_bones,
    write_outlines,
    write_packed,
)

SIZE = (21, 34)


def mask_of(classes):
    draw = np.random.default_rng(classes)
    return PackedMask.from_dense(draw.random((classes, *SIZE)) < 0.4)


def test_a_png_a_bone(tmp_path):
    mask = mask_of(3)
    write_bones(tmp_path / "image", mask, ("a", "b", "c"))
    for index, name in enumerate("abc"):
        pixels = cv2.imread(str(tmp_path / "image" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        assert (pixels.dtype, pixels.shape) == (np.uint8, SIZE)
        assert np.array_equal(pixels, 255 * mask.dense()[index])


@pytest.mark.parametrize(
    ("classes", "channels"), [(1, 1), (8, 1), (9, 3), (16, 3), (24, 3), (25, 4), (29, 4), (32, 4)]
)
def test_a_packed_png_is_unpacked_as_the_manual_says(tmp_path, classes, channels):
    image = pytest.importorskip("PIL.Image")
    mask = mask_of(classes)
    write_packed(tmp_path / "a.png", mask)
    pixels = np.atleast_3d(np.asarray(image.open(tmp_path / "a.png")))
    assert pixels.shape == (*SIZE, channels)
    bits = np.unpackbits(pixels, axis=2, count=classes, bitorder="little")
    assert np.array_equal(bits.astype(bool), np.moveaxis(mask.dense(), 0, -1))


def test_more_bones_than_bits():
    require_packable(["x"] * 32)
    with pytest.raises(HandboneError, match=r"33 classes do not fit into the 32 bits"):
        require_packable(["x"] * 33)


def test_outlines_are_read_as_labels(tmp_path):
    from handbone_datasets.competition import read_outlines

    names, mask = ("a", "b", "c"), mask_of(3)
    write_outlines(tmp_path / "image.json", mask, names, "image")
    found = PackedMask.from_polygons(read_outlines(tmp_path / "image.json", names), SIZE, 3)
    assert np.array_equal(found.planes, mask.planes)
    facts = json.loads((tmp_path / "image.json").read_text())
    assert (facts["image_id"], facts["height"], facts["width"]) == ("image", *SIZE)


def test_what_others_wrote_is_never_written_over(tmp_path):
    foreign = cv2.imencode(".png", np.zeros(SIZE, np.uint8))[1].tobytes()
    mask = mask_of(1)
    (tmp_path / "image").mkdir()
    for name, write in (
        ("image/a.png", lambda: write_bones(tmp_path / "image", mask, ("a",))),
        ("image.png", lambda: write_packed(tmp_path / "image.png", mask)),
        ("image.json", lambda: write_outlines(tmp_path / "image.json", mask, ("a",), "image")),
    ):
        path = tmp_path / name
        path.write_bytes(foreign)
        with pytest.raises(HandboneError, match="is there already and is not"):
            write()
        assert path.read_bytes() == foreign
        path.unlink()
        write()
        write()  # its own it may


@pytest.mark.parametrize("name", ["", ".", "..", "../Radius", "a/b", "a\\b"])
def test_classes_that_cannot_name_files(name):
    with pytest.raises(HandboneError, match=r"class '.*' cannot name a file"):
        require_file_names(["Radius", name], "class")
