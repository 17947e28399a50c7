from __future__ import annotations

import errno
import json

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.store import journal
from handbone_cli.store.journal import Journal, apply


@pytest.fixture
def book(tmp_path):
    return Journal(tmp_path / "images.jsonl")


def test_no_journal_has_no_changes(book):
    assert book.changes() == {}
    book.clear()


def test_the_last_word_on_an_image_counts(book):
    for image_id, entry in (("a", {"n": 1}), ("b", {"n": 2}), ("a", {"n": 3}), ("b", None)):
        book.append(image_id, entry)
    assert book.changes() == {"a": {"n": 3}, "b": None}
    assert apply(book.changes(), {"b": {"n": 9}, "c": {"n": 4}}) == {"c": {"n": 4}, "a": {"n": 3}}


def test_a_line_is_on_disk_before_append_returns(book, monkeypatch):
    synced = []
    monkeypatch.setattr(journal.os, "fsync", lambda _: synced.append(book.path.read_bytes()))
    book.append("a", {"n": 1})
    assert [json.loads(content) for content in synced] == [{"image_id": "a", "entry": {"n": 1}}]


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_is_left_out(book, cut):
    book.append("a", {"n": 1})
    whole = book.path.stat().st_size
    book.append("b", {"name": "x"})
    content = book.path.read_bytes()
    assert len(content) - cut > whole
    book.path.write_bytes(content[:-cut])
    expected = {"a": {"n": 1}} | ({"b": {"name": "x"}} if cut == 1 else {})  # the line's end alone
    assert book.changes() == expected


@pytest.mark.parametrize("line", ["", "[]", "7", "null", '{"image_id": "b"}', '{"image_id": []}'])
def test_a_line_of_something_else_is_left_out(book, line):
    book.append("a", {"n": 1})
    with book.path.open("a") as file:
        file.write(line + "\n")
    assert book.changes() == {"a": {"n": 1}}


def test_a_full_disk_leaves_the_journal_as_it_was(book, monkeypatch):
    book.append("a", {"n": 1})
    before = book.path.read_bytes()

    def full(_):
        assert book.path.stat().st_size > len(before)  # something of the line is there
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journal.os, "fsync", full)
    with pytest.raises(HandboneError, match=r"images\.jsonl: cannot write it: the disk is full"):
        book.append("b", {"n": 2})
    assert book.path.read_bytes() == before
