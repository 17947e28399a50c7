from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.results.pictures import BACKGROUND, Lettering, canvas, is_picture, write_png


def test_a_png_keeps_its_colours(tmp_path):
    rgb = np.random.default_rng(1).integers(0, 256, (7, 9, 3), np.uint8)
    write_png(tmp_path / "new" / "a.png", rgb)
    stored = cv2.imread(str(tmp_path / "new" / "a.png"), cv2.IMREAD_COLOR)
    assert np.array_equal(stored[..., ::-1], rgb)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["a.png"]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HandboneError, match="file"):
        write_png(tmp_path / "file" / "a.png", canvas(4, 4))


def test_text_stays_on_its_line():
    picture = canvas(40, 300)
    Lettering(20).draw(picture, "Triquetrum, fg", 10, 20)
    ys, xs = np.nonzero((picture != BACKGROUND).any(axis=2))
    assert len(ys)
    assert ys.min() >= 8
    assert ys.max() <= 33
    assert xs.min() >= 8


def test_text_ends_at_the_right():
    picture = canvas(40, 300)
    Lettering(20).draw_right(picture, "0.974", 200, 20)
    _, xs = np.nonzero((picture != BACKGROUND).any(axis=2))
    assert 190 <= xs.max() <= 202


def test_a_long_text_loses_its_middle():
    text = Lettering(20)
    assert text.fit("Radius", 500) == "Radius"
    cut = text.fit("image1661319116107_left_hand", 150)
    assert cut.startswith("image")
    assert cut.endswith("hand")
    assert "..." in cut
    assert text.width(cut) <= 150
    assert text.fit("Radius", 3) == ""


def test_a_picture_is_known_by_its_mark_and_a_radiograph_is_not(tmp_path):
    write_png(tmp_path / "a.png", canvas(40, 30))
    content = (tmp_path / "a.png").read_bytes()
    assert is_picture(content[:4096])
    assert not is_picture(cv2.imencode(".png", canvas(40, 30))[1].tobytes())
    assert not is_picture(b"")
    assert not is_picture(content[33:])


def test_the_mark_is_a_sound_chunk(tmp_path):
    """Length, type, keyword and text, CRC: what other programs read and check."""
    write_png(tmp_path / "a.png", canvas(4, 4))
    content = (tmp_path / "a.png").read_bytes()
    length, kind = struct.unpack(">I4s", content[33:41])
    data = content[41 : 41 + length]
    assert (kind, data) == (b"tEXt", b"Software\0handbone")
    (crc,) = struct.unpack(">I", content[41 + length : 45 + length])
    assert crc == zlib.crc32(kind + data)
    assert content[45 + length + 4 : 45 + length + 8] == b"IDAT"


def test_a_name_over_bone_has_a_dark_rim():
    for ground in (0, 255):
        picture = np.full((40, 120, 3), ground, np.uint8)
        Lettering(20).draw_over(picture, "Radius", (60, 20))
        drawn = np.argwhere((picture != ground).any(axis=2))
        assert np.abs(drawn.mean(axis=0) - (20, 60)).max() < 4
        assert picture.max() > 200
        assert picture.min() < 60
