from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.data.images import find_fault, read_grey
from handbone_cli.errors import HandboneError, UnreadableImageError

GREY = np.random.default_rng(1).integers(0, 256, (24, 31)).astype(np.uint8)


def encoded(suffix, image=GREY):
    return cv2.imencode(suffix, image)[1].tobytes()


def with_thumbnail(jpeg):
    """A JPEG whose EXIF segment holds a whole smaller JPEG, end marker included."""
    body = b"Exif\x00\x00" + encoded(".jpg", GREY[:8, :8])
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


PNG, JPEG = encoded(".png"), encoded(".jpg")
EXIF = with_thumbnail(JPEG)


@pytest.mark.parametrize("content", [PNG, JPEG, EXIF], ids=["png", "jpeg", "exif"])
def test_whole_images_have_no_fault(content):
    assert find_fault(content) is None
    assert find_fault(content + b"trailing bytes") is None


@pytest.mark.parametrize("length", [8, 20, 33, 40, len(PNG) // 2, len(PNG) - 12, len(PNG) - 1])
def test_a_png_is_cut_off(length):
    assert find_fault(PNG[:length]) == "the PNG is cut off (it has no end); copy the file again"


def test_a_byte_of_a_png_is_wrong():
    wrong = bytearray(PNG)
    wrong[len(PNG) // 2] ^= 1
    assert find_fault(bytes(wrong)) == "the PNG is damaged (a checksum is wrong)"


@pytest.mark.parametrize("content", [JPEG, EXIF], ids=["plain", "with a thumbnail"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 1.0])
def test_a_jpeg_is_cut_off(content, share):
    fault = find_fault(content[: int(share * len(content)) - 2])
    assert fault is not None
    assert fault.startswith("the JPEG is cut off")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"image_name,class,rle\n", "not a PNG or JPEG image, whatever its name says"),
        (b"\xff\xd8\xff\xe0\x00\x04ab not a marker", "the JPEG is damaged (a marker is missing)"),
        (PNG[:8], "the PNG is cut off (it has no end); copy the file again"),
    ],
)
def test_what_is_no_image(tmp_path, content, words):
    path = tmp_path / "image.png"
    path.write_bytes(content)
    with pytest.raises(UnreadableImageError) as caught:
        read_grey(path)
    assert str(caught.value) == f"{path}: {words}."


def test_a_missing_file(tmp_path):
    with pytest.raises(HandboneError, match="no such file"):
        read_grey(tmp_path / "none.png")


def test_pixels_that_cannot_be_decoded(tmp_path):
    path = tmp_path / "no_pixels.png"
    header = PNG[:33]
    path.write_bytes(header + encoded(".png")[-12:])
    with pytest.raises(UnreadableImageError, match="no_pixels"):
        read_grey(path)


def test_depth_and_colour(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    colour = np.repeat(np.repeat(GREY, 4, 0), 4, 1)[..., None].repeat(3, axis=2)
    for name, image in (("deep.png", deep), ("grey.png", GREY), ("colour.jpg", colour)):
        (tmp_path / name).write_bytes(encoded(name[-4:], image))
    assert np.array_equal(read_grey(tmp_path / "grey.png"), GREY)
    assert np.array_equal(read_grey(tmp_path / "deep.png"), deep)
    read = read_grey(tmp_path / "colour.jpg")
    assert (read.dtype, read.shape) == (np.uint8, colour.shape[:2])
    assert np.abs(read.astype(int) - colour[..., 0]).mean() < 12
