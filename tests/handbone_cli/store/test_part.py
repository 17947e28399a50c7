from __future__ import annotations

import json
import os

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.part import StorePart
from handbone_cli.store.store import ImageEntry, Store, StoreWriter
from handbone_cli.store.verification import verify

ORDER = ("e", "d", "c", "b", "a")


def probabilities(value):
    plane = np.full((6, 8), value, np.uint8)
    return BoxedProbabilities.from_planes(1, (6, 8), lambda _: (plane, (0, 6, 0, 8)))


def write(store, name):
    entry = ImageEntry("ID1", 6, 8, None, f"of {name}", seen=False)
    store.write(name, probabilities(100 + ord(name)), entry)


def writer(path):
    return StoreWriter(path, ["Radius"], {"model": "nnunet"}, ORDER, None)


def killed(part):
    """As kill -9 leaves it: the kernel gives its lock back, the file stays."""
    os.close(part._lock._handle)
    (part.path / "writer.1.lock").write_text(
        json.dumps({**json.loads((part.path / "writer.1.lock").read_text()), "since": "1"})
    )


def content(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def whole(tmp_path):
    """What one process writes."""
    with writer(tmp_path / "whole") as store:
        for name in ORDER:
            write(store, name)
    return content(tmp_path / "whole")


def test_what_three_write_in_any_order_is_what_one_writes(tmp_path, whole):
    first = writer(tmp_path / "s")
    parts = [StorePart(tmp_path / "s", number) for number in (1, 10)]
    for store, name in zip((parts[1], first, parts[0], parts[1], first), "abcde", strict=True):
        write(store, name)
    opened = Store.open(tmp_path / "s")  # by a reader meanwhile
    assert opened.image_ids == list(ORDER)
    assert verify(opened, lambda *_: None) == []
    for part in parts:
        part.close()
        part.close()
    first.close()
    assert content(tmp_path / "s") == whole


def test_what_a_killed_process_wrote_is_kept(tmp_path, whole):
    first, part = writer(tmp_path / "s"), StorePart(tmp_path / "s", 1)
    write(part, "c")
    with (tmp_path / "s" / "images.1.jsonl").open("a") as file:
        file.write('{"image_id": "d", "ent')  # torn
    killed(part)
    write(first, "a")
    first.close()
    assert Store.open(tmp_path / "s").image_ids == ["c", "a"]
    assert sorted(p.name for p in (tmp_path / "s").iterdir()) == ["images", "manifest.json"]
    with writer(tmp_path / "s") as again:
        assert [again.has(name, f"of {name}") for name in "acd"] == [True, True, False]
        part = StorePart(tmp_path / "s", 1)
        assert [part.has(name, f"of {name}") for name in "acd"] == [True, True, False]
        assert not part.has("a", "of another")
        for name in "bde":
            write(part, name)
        part.close()
    assert content(tmp_path / "s") == whole


def test_one_that_outlives_the_writer_keeps_its_journal_and_others_away(tmp_path, whole):
    first, part = writer(tmp_path / "s"), StorePart(tmp_path / "s", 1)
    write(first, "a")
    write(part, "b")
    first.close()
    write(part, "c")
    assert Store.open(tmp_path / "s").image_ids == ["c", "b", "a"]
    with pytest.raises(HandboneError, match=f"s: process {os.getpid()} on .* writes this store"):
        writer(tmp_path / "s")
    assert not (tmp_path / "s" / "writer.lock").exists()
    part.close()
    with writer(tmp_path / "s") as again:
        for name in "de":
            assert not again.has(name, f"of {name}")
            write(again, name)
    assert content(tmp_path / "s") == whole


def test_a_new_store_stays_while_somebody_writes_and_goes_when_nobody_has(tmp_path):
    first, part = writer(tmp_path / "s"), StorePart(tmp_path / "s", 1)
    first.close()
    write(part, "b")
    part.close()
    assert Store.open(tmp_path / "s").image_ids == ["b"]
    first, part = writer(tmp_path / "t"), StorePart(tmp_path / "t", 1)
    part.close()
    first.close()
    assert not (tmp_path / "t").exists()


def test_no_part_without_a_store_nor_two_of_a_number(tmp_path):
    with pytest.raises(HandboneError, match="no such file or folder; expected a store"):
        StorePart(tmp_path / "s", 1)
    with writer(tmp_path / "s"):
        part = StorePart(tmp_path / "s", 1)
        with pytest.raises(HandboneError, match="writes this store"):
            StorePart(tmp_path / "s", 1)
        part.close()
