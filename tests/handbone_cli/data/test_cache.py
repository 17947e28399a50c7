from __future__ import annotations

import errno
import multiprocessing
import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest

from handbone_cli.data import cache as module
from handbone_cli.data.cache import ArrayCache, FileDigests, cache_folder
from handbone_cli.errors import HandboneError
from handbone_cli.testing.tiny import write_png


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12, dtype=np.uint8).reshape(3, 4),
        np.random.default_rng(1).random((5, 2)).astype(np.float32),
        np.zeros((0, 2), np.float32),
        np.arange(24, dtype=np.uint8).reshape(2, 3, 4)[:, ::2],
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_an_array_comes_back_with_its_facts(tmp_path, array):
    cache = ArrayCache(tmp_path)
    assert cache.get("abc") is None
    cache.put("abc", array, {"size": [3, 4], "name": "ä"})
    kept, facts = cache.get("abc")
    assert np.array_equal(kept, array)
    assert (kept.dtype, kept.shape, facts) == (
        array.dtype,
        array.shape,
        {"size": [3, 4], "name": "ä"},
    )


def test_what_is_kept_is_mapped_and_cannot_be_changed(tmp_path):
    cache = ArrayCache(tmp_path)
    cache.put("abc", np.ones((4, 4), np.uint8), {})
    kept, _ = cache.get("abc")
    assert isinstance(kept.base, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        kept[0, 0] = 2


@pytest.mark.parametrize("cut", [0, 5, 11, 30, -1])
def test_a_torn_file_counts_as_none(tmp_path, cut):
    cache = ArrayCache(tmp_path)
    cache.put("abc", np.ones((40, 40), np.uint8), {})
    content = cache.place("abc").read_bytes()
    cache.place("abc").write_bytes(content[:cut])
    assert cache.get("abc") is None
    cache.place("abc").write_bytes(b"x" * len(content))
    assert cache.get("abc") is None
    cache.put("abc", np.ones((40, 40), np.uint8), {})
    assert cache.get("abc")[0].sum() == 1600


def write_often(folder, number):
    for _ in range(40):
        ArrayCache(folder).put("key", np.full((64, 64), 7, np.uint8), {"by": number})


def test_many_may_write_one_key_at_once(tmp_path):
    jobs = [
        multiprocessing.get_context("fork").Process(target=write_often, args=(tmp_path, number))
        for number in range(2)
    ]
    for job in jobs:
        job.start()
    while any(job.is_alive() for job in jobs):
        found = ArrayCache(tmp_path).get("key")
        assert found is None or (found[0] == 7).all()
    for job in jobs:
        job.join()
    assert ArrayCache(tmp_path).get("key")[1]["by"] in {0, 1}
    assert len(list(tmp_path.rglob("*.*"))) == 1


def test_size_and_clearing(tmp_path):
    cache, key = ArrayCache(tmp_path / "images"), "ab" * 32
    assert (cache.size(), cache.clear()) == (0, 0)
    cache.put(key, np.ones((64, 64), np.uint8), {})
    foreign = [tmp_path / "images" / "README", tmp_path / "images" / "ab" / "x.array"]
    for path in foreign:
        path.write_text("not ours")
    assert cache.size() > 4096
    assert cache.clear() > 4096
    assert cache.get(key) is None
    assert all(path.exists() for path in foreign)


def test_a_full_disk_is_said(tmp_path, monkeypatch):
    def full(_handle):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HandboneError, match="the disk is full"):
        ArrayCache(tmp_path).put("abc", np.ones((4, 4), np.uint8), {})
    assert list(tmp_path.rglob("*.*")) == []


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDBONE_CACHE", str(tmp_path / "own"))
    assert cache_folder(True) == tmp_path / "own"
    assert cache_folder(False) is None
    assert cache_folder(tmp_path / "named") == tmp_path / "named"
    monkeypatch.delenv("HANDBONE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder(True) == tmp_path / "xdg" / "handbone"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder(True) == tmp_path / ".cache" / "handbone"


def test_a_file_is_read_again_only_once_it_changed(tmp_path, monkeypatch):
    image, reads = tmp_path / "a.png", []
    write_png(image, np.zeros((4, 4), np.uint8))
    real = module.read_bytes
    monkeypatch.setattr(module, "read_bytes", lambda path: reads.append(path) or real(path))
    first = FileDigests(tmp_path / "files").get(image)
    assert first.fault is None
    assert FileDigests(tmp_path / "files").get(image) == first
    assert len(reads) == 1
    image.write_bytes(image.read_bytes()[:-3])
    os.utime(image, ns=(1, 1))
    torn = FileDigests(tmp_path / "files").get(image)
    assert (torn.digest != first.digest, len(reads)) == (True, 2)
    assert torn.fault.startswith("the PNG is cut off")
    assert FileDigests(None).get(image) == torn


def test_a_torn_note_and_a_missing_file(tmp_path):
    image = tmp_path / "a.png"
    write_png(image, np.zeros((4, 4), np.uint8))
    first = FileDigests(tmp_path / "files").get(image)
    for note in (tmp_path / "files").rglob("*.json"):
        note.write_text("{")
    assert FileDigests(tmp_path / "files").get(image) == first
    image.unlink()
    with pytest.raises(HandboneError, match=r"a\.png: cannot read it"):
        FileDigests(tmp_path / "files").get(image)


def test_a_gib_stays_free(tmp_path, monkeypatch):
    folder = tmp_path / "not" / "there yet"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=3 * 2**29))
    module.require_room(folder, 2**29)
    with pytest.raises(HandboneError, match=r"there yet: only 1\.5 GiB are free there"):
        module.require_room(folder, 2**29 + 1)
