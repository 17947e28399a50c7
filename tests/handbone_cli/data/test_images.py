from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from handbone_cli.data.images import decode_grey, find_fault, read_grey, read_values
from handbone_cli.errors import HandboneError, UnreadableImageError

GREY = np.random.default_rng(1).integers(0, 256, (24, 31)).astype(np.uint8)


def encoded(suffix, image=GREY):
    return cv2.imencode(suffix, image)[1].tobytes()


def with_thumbnail(jpeg):
    """A JPEG whose EXIF segment holds a whole smaller JPEG, end marker included."""
    body = b"Exif\x00\x00" + encoded(".jpg", GREY[:8, :8])
    return jpeg[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + jpeg[2:]


PNG, JPEG, BMP = encoded(".png"), encoded(".jpg"), encoded(".bmp")
EXIF = with_thumbnail(JPEG)


@pytest.mark.parametrize("content", [PNG, JPEG, EXIF, BMP], ids=["png", "jpeg", "exif", "bmp"])
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
        (
            b"image_name,class,rle\n",
            "not a PNG or JPEG image, nor BMP or DICOM, whatever its name says",
        ),
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


@pytest.mark.parametrize("length", [10, 60, len(BMP) - 1])
def test_a_bmp_is_cut_off(length):
    fault = find_fault(BMP[:length])
    assert fault == "the BMP is cut off (it has too few pixels); copy the file again"


def test_bmp(tmp_path):
    colour = np.random.default_rng(2).integers(0, 256, (7, 5, 3)).astype(np.uint8)
    for name, image in (("grey.bmp", GREY), ("colour.bmp", colour)):
        (tmp_path / name).write_bytes(encoded(".bmp", image))
    assert np.array_equal(read_grey(tmp_path / "grey.bmp"), GREY)
    grey = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    assert np.abs(read_grey(tmp_path / "colour.bmp").astype(int) - grey).max() <= 1


def test_bytes_are_called_as_they_should_be():
    assert np.array_equal(decode_grey(PNG, "mine"), GREY)
    with pytest.raises(UnreadableImageError) as caught:
        decode_grey(PNG[:50], "mine")
    assert str(caught.value) == "mine: the PNG is cut off (it has no end); copy the file again."


def png(values, depth, palette=None):
    """A PNG as its specification says, by hand: of any depth, grey or with a palette."""
    height, width = values.shape
    bits = np.unpackbits(values.astype(np.uint8)[..., None], axis=-1)[..., 8 - depth :]
    rows = np.packbits(bits.reshape(height, -1), axis=1)
    scans = b"".join(b"\0" + row.tobytes() for row in rows)
    kind = 0 if palette is None else 3
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(scans)), (b"IEND", b"")]
    if palette is not None:
        chunks[1:1] = [(b"PLTE", palette.astype(np.uint8).tobytes()), (b"tRNS", b"\0")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("coloured", [False, True])
def test_values_are_what_is_stored(tmp_path, depth, coloured):
    values = np.random.default_rng(depth).integers(0, 2**depth, (9, 13))
    palette = np.random.default_rng(1).integers(0, 256, (2**depth, 3)) if coloured else None
    (tmp_path / "map.png").write_bytes(png(values, depth, palette))
    read = read_values(tmp_path / "map.png")
    assert read.dtype == np.uint8
    assert np.array_equal(read, values)


def test_values_of_sixteen_bits(tmp_path):
    deep = np.arange(600, dtype=np.uint16).reshape(20, 30)
    (tmp_path / "map.png").write_bytes(encoded(".png", deep))
    assert np.array_equal(read_values(tmp_path / "map.png"), deep)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encoded(".png", np.zeros((4, 4, 3), np.uint8)), "expected a grey or palette PNG"),
        (JPEG, "expected a grey or palette PNG"),
        (PNG[:-20], "the PNG is cut off"),
        (b"", "the file is empty"),
    ],
)
def test_what_holds_no_values(tmp_path, content, words):
    (tmp_path / "map.png").write_bytes(content)
    with pytest.raises(UnreadableImageError, match=rf"map\.png: {words}"):
        read_values(tmp_path / "map.png")
