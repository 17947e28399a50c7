from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from handbone_cli import files
from handbone_cli.errors import HandboneError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def said(call, *arguments):
    with pytest.raises(HandboneError) as caught:
        call(*arguments)
    return str(caught.value)


def test_a_written_file_is_whole_and_alone(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    files.write_bytes(path, b"one")
    files.write_bytes(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(path.parent) == ["file.bin"]


def test_the_file_is_not_there_before_the_block_ends(tmp_path):
    path = tmp_path / "file.bin"
    with files.atomic_write(path) as file:
        file.write(b"content")
        assert not path.exists()
    assert path.read_bytes() == b"content"


def test_permissions_follow_the_umask_and_not_the_temporary_file(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_bytes(tmp_path / "file", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyboardInterrupt()])
@pytest.mark.parametrize("old", [None, b"old"])
def test_an_error_in_the_block_keeps_what_was_there(tmp_path, error, old):
    path = tmp_path / "file.bin"
    if old is not None:
        path.write_bytes(old)

    def write_half():
        with files.atomic_write(path) as file:
            file.write(b"half")
            raise error

    with pytest.raises(type(error)):
        write_half()
    assert names(tmp_path) == ([] if old is None else ["file.bin"])
    assert old is None or path.read_bytes() == old


def test_a_full_disk_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "file.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", full)
    assert said(files.write_bytes, path, b"new") == (
        f"{path}: cannot write it: the disk is full; free some space, "
        "then run the same command again."
    )
    assert names(tmp_path) == ["file.bin"]
    assert path.read_bytes() == b"old"


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    direct, below = tmp_path / "file" / "x.json", tmp_path / "file" / "folder" / "x.json"
    assert said(files.write_json, direct, {}) == (
        f"{tmp_path / 'file'}: cannot write there: a file of that name is in the way."
    )
    assert said(files.write_json, below, {}) == (
        f"{below.parent}: cannot write there: a part of that path is a file, not a folder."
    )


def test_a_folder_in_the_way_of_a_file(tmp_path):
    path = tmp_path / "folder"
    path.mkdir()
    assert said(files.write_text, path, "x") == (
        f"{path}: cannot write it: that is a folder, and a file was expected."
    )
    assert names(tmp_path) == ["folder"]


def test_a_folder_that_may_not_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert said(files.make_folder, tmp_path) == (
        f"{tmp_path}: cannot write there: permission is denied; "
        "choose a folder that you may write to."
    )


def test_an_error_nobody_thought_of_keeps_its_own_words(tmp_path):
    error = files.explain(OSError(errno.EMFILE, "Too many open files"), tmp_path, "read it")
    assert str(error) == f"{tmp_path}: cannot read it: too many open files."


def test_json_comes_back(tmp_path):
    content = {"b": [1, 2.5, None], "a": "\u00e9"}
    files.write_json(tmp_path / "x.json", content)
    assert files.read_json(tmp_path / "x.json") == content
    assert list(files.read_json(tmp_path / "x.json")) == ["b", "a"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"a": 1,\n "b" 2}', "not JSON (line 2: Expecting ':' delimiter)."),
        (b"", "not JSON (line 1: Expecting value)."),
        (b"[\xff]", "not JSON (it is not text)."),
        (None, "cannot read it: there is no such file or folder."),
    ],
)
def test_what_is_no_json(tmp_path, content, message):
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    assert said(files.read_json, path) == f"{path}: {message}"


def test_require_names_what_was_expected(tmp_path):
    assert files.require(tmp_path, "a folder") == tmp_path
    missing = tmp_path / "none"
    assert said(files.require, missing, "a store") == (
        f"{missing}: no such file or folder; expected a store."
    )


def begins_with_ours(head):
    return head.startswith(b"ours")


def test_what_hb_did_not_make_is_not_written_over(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_bytes(b"name = 'first'")
    assert said(files.refuse_foreign, path, "a submission", begins_with_ours) == (
        f"{path}: is there already and is not a submission that hb wrote; choose another -o, or "
        "remove that file first."
    )
    assert path.read_bytes() == b"name = 'first'"


@pytest.mark.parametrize("content", [None, b"", b"ours, from before"])
def test_a_place_that_is_free_empty_or_ours_may_be_written(tmp_path, content):
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    files.refuse_foreign(path, "a submission", begins_with_ours)
    files.refuse_foreign(tmp_path, "a submission", begins_with_ours)  # atomic_write will say it


def test_only_the_head_of_a_file_is_read(tmp_path):
    (tmp_path / "file").write_bytes(b"ours" * 5000)
    heads = []
    files.refuse_foreign(tmp_path / "file", "x", lambda head: heads.append(head) is None)
    assert heads == [b"ours" * 1024]


def test_a_device_is_neither_read_nor_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        assert said(files.refuse_foreign, path, "x", begins_with_ours).startswith(f"{path}: is ")


def test_digests_are_sha256_and_do_not_depend_on_key_order():
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert files.digest(b"") == empty
    assert files.digest_json({"a": 1, "b": [2]}) == files.digest(b'{"a":1,"b":[2]}')
    assert files.digest_json({"b": [2], "a": 1}) == files.digest_json({"a": 1, "b": [2]})
