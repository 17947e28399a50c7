from __future__ import annotations

import hashlib

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.files import file_digest
from handbone_cli.store.array_files import open_array

CUBE = np.random.default_rng(0).random((2, 5, 7), np.float32)


def said(path, key=None):
    with pytest.raises(HandboneError) as caught:
        open_array(path, key)
    return str(caught.value)


def test_npy_is_mapped_not_read(tmp_path):
    np.save(tmp_path / "x.npy", CUBE)
    array, key = open_array(tmp_path / "x.npy")
    assert isinstance(array, np.memmap)
    assert np.array_equal(array, CUBE)
    assert key == ""


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    ("members", "key", "found"),
    [
        ({"maps": CUBE}, None, "maps"),
        ({"maps": CUBE, "class_names": np.array(["a", "b"])}, None, "maps"),
        ({"probabilities": CUBE, "other": CUBE * 2}, None, "probabilities"),
        ({"softmax": CUBE, "other": CUBE * 2}, None, "softmax"),
        ({"probabilities": CUBE * 2, "maps": CUBE}, "maps", "maps"),
    ],
)
def test_the_array_of_an_npz(tmp_path, save, members, key, found):
    save(tmp_path / "x.npz", **members)
    array, name = open_array(tmp_path / "x.npz", key)
    assert name == found
    assert np.array_equal(array, CUBE)


def test_which_array_is_not_guessed(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, first=CUBE, second=CUBE)
    assert said(path) == f"{path}: holds 2 arrays (first, second); name one with --key."
    assert said(path, "secnd") == (
        f"{path}: there is no array 'secnd' in it. Did you mean 'second'? Known: first, second."
    )


def test_an_image_of_a_store_and_an_npz_of_nothing(tmp_path):
    path = tmp_path / "x.npz"
    np.savez(path, size=[4, 4], boxes=np.zeros((1, 4), np.int32), q0=np.zeros((0, 0), np.uint8))
    assert said(path) == f"{path}: an image of a store; its store needs no import."
    np.savez(path)
    assert said(path) == f"{path}: there is no array in it."


class Exploding:
    """Leaves a trace when it is unpickled."""

    def __reduce__(self):
        return (open, ("exploded", "w"))


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
def test_objects_are_refused_and_nothing_is_run(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    objects = np.array([Exploding()], object)
    (np.save if name == "x.npy" else np.savez)(name, objects)
    assert said(tmp_path / name) == (
        f"{tmp_path / name}: an array of Python objects, which hb does not unpickle; save it as "
        "float16, float32, uint8 or bool."
    )
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty; write it again."),
        (b"hello, world", "not a {suffix} file, whatever its name says."),
        (b"\x80\x04K\x01.", "not a {suffix} file, whatever its name says."),
    ],
)
def test_what_is_no_array(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_bytes(content)
    assert said(path) == f"{path}: {what.format(suffix=path.suffix)}"


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("share", [0.03, 0.3, 0.9, 0.999])
def test_a_truncated_file(tmp_path, name, share):
    path = tmp_path / name
    np.save(path, CUBE) if name == "x.npy" else np.savez_compressed(path, maps=CUBE)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert said(path).startswith(f"{path}: not a whole {path.suffix} file (")
    assert said(path).endswith("); write it again.")


def test_no_flipped_byte_ends_in_a_traceback(tmp_path):
    path = tmp_path / "x.npz"
    np.savez_compressed(path, maps=CUBE)
    content, refused = path.read_bytes(), 0
    for place in range(0, len(content), 7):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            open_array(path)
        except HandboneError:
            refused += 1
    assert refused > len(content) / 7 / 2


def test_no_file(tmp_path):
    path = tmp_path / "x.npy"
    sentence = f"{path}: cannot read it: there is no such file or folder."
    assert said(path) == sentence
    with pytest.raises(HandboneError) as caught:
        file_digest(path)
    assert str(caught.value) == sentence


def test_the_digest_of_a_file(tmp_path, monkeypatch):
    monkeypatch.setattr("handbone_cli.files.CHUNK", 10)
    (tmp_path / "x").write_bytes(bytes(range(35)))
    assert file_digest(tmp_path / "x") == hashlib.sha256(bytes(range(35))).hexdigest()
