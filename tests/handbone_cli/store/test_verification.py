from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.files import write_json
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.lock import LOCK, WriterLock
from handbone_cli.store.store import ImageEntry, Store, StoreWriter, image_file
from handbone_cli.store.verification import fault_of_content, forget, verify

SIZE = (40, 50)


def boxed():
    plane = np.zeros(SIZE, np.uint8)
    plane[10:30, 20:40] = 200
    return BoxedProbabilities.from_planes(2, SIZE, lambda _: (plane, (0, *SIZE[:1], 0, SIZE[1])))


@pytest.fixture
def path(tmp_path):
    with StoreWriter(tmp_path / "store", ("Radius", "Ulna"), {}, ["a", "b", "c"], None) as writer:
        for image_id in "ab":
            entry = ImageEntry("ID1", *SIZE, source=None, sha256=image_id * 2, seen=False)
            writer.write(image_id, boxed(), entry)
    return tmp_path / "store"


def found(path):
    return [str(fault) for fault in verify(Store.open(path), lambda *_: None)]


def test_a_store_as_it_was_written_has_no_fault(path):
    steps = []
    assert verify(Store.open(path), lambda *step: steps.append(step)) == []
    assert steps == [(1, 2), (2, 2)]


def test_any_changed_byte_is_found(path):
    file = image_file(path, "a")
    content = file.read_bytes()
    for place in range(0, len(content), 41):
        file.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        assert found(path) == [f"{file}: its content is not what was written (another SHA-256)."]


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_torn_file_is_found_by_its_size(path, share):
    file = image_file(path, "b")
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    assert found(path) == [
        f"{file}: {int(len(content) * share)} bytes; {len(content)} were written."
    ]


def test_a_missing_file_and_files_that_belong_nowhere(path):
    image_file(path, "a").unlink()
    (path / "notes.txt").write_text("mine")
    (path / "images" / "z.npz").write_text("?")
    (path / "images" / "c.npz").write_text("its line in the journal was never written")
    (path / "images" / ".c.npz.k3j2.tmp").write_text("half")
    cut_short = "left by a write that was cut short, and not in the manifest."
    stranger = "belongs to no image of the store; delete it, or move it elsewhere."
    assert found(path) == [
        f"{path}/images/a.npz: missing.",
        f"{path}/images/.c.npz.k3j2.tmp: {cut_short}",
        f"{path}/images/c.npz: {cut_short}",
        f"{path}/images/z.npz: {stranger}",
        f"{path}/notes.txt: {stranger}",
    ]


def test_what_a_writer_has_under_way_is_no_fault(path):
    held = WriterLock(path / LOCK)
    (path / "images" / "c.npz").write_text("just renamed")
    (path / "images" / ".d.npz.k3j2.tmp").write_text("half")
    assert found(path) == []
    held.release()
    assert len(found(path)) == 2


def test_forgotten_images_are_made_again_and_no_others(path):
    image_file(path, "b").write_bytes(b"torn")
    (path / "notes.txt").write_text("mine")
    (path / "images" / ".c.npz.k3j2.tmp").write_text("half")
    faults = verify(Store.open(path), lambda *_: None)
    stay = forget(Store.open(path), faults)
    assert [fault.path.name for fault in stay] == ["notes.txt"]
    assert Store.open(path).image_ids == ["a"]
    assert Store.open(path).manifest["order"] == ["a", "b", "c"]
    assert sorted(each.name for each in path.rglob("*")) == [
        "a.npz", "images", "manifest.json", "notes.txt",
    ]  # fmt: skip
    with StoreWriter.reopen(path) as writer:
        assert (writer.has("a", "aa"), writer.has("b", "bb")) == (True, False)


def save(path, members):
    np.savez(path, **members)
    return path.read_bytes()


GOOD = {
    "size": np.array([4, 5], np.int32),
    "boxes": np.array([[0, 2, 0, 3], [0, 0, 0, 0]], np.int32),
    "q0": np.full((2, 3), 99, np.uint8),
    "q1": np.zeros((0, 0), np.uint8),
}


def with_box(*box):
    return {"boxes": np.array([box, (0, 0, 0, 0)], np.int32)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"q0": None}, "it lacks the array 'q0' (a store of 2 classes)"),
        ({"q2": GOOD["q1"]}, "it should not have the array 'q2' (a store of 2 classes)"),
        (
            {"size": np.array([4, 6], np.int32)},
            "it is of an image of [4, 6] pixels; the manifest says [4, 5]",
        ),
        (
            {"boxes": GOOD["boxes"].astype(np.int64)},
            "boxes are int64 (2, 4); expected int32 (2, 4)",
        ),
        ({"boxes": GOOD["boxes"][:1]}, "boxes are int32 (1, 4); expected int32 (2, 4)"),
        (with_box(0, 2, 3, 6), "the box of class 0 leaves the image: [0, 2, 3, 6]"),
        (with_box(3, 5, 0, 3), "the box of class 0 leaves the image: [3, 5, 0, 3]"),
        (with_box(-1, 1, 0, 3), "the box of class 0 leaves the image: [-1, 1, 0, 3]"),
        (with_box(2, 0, 0, 3), "the box of class 0 leaves the image: [2, 0, 0, 3]"),
        (with_box(0, 2, 0, 4), "q0 is uint8 (2, 3); expected uint8 (2, 4), as its box"),
        (
            {"q0": GOOD["q0"].astype(np.float32)},
            "q0 is float32 (2, 3); expected uint8 (2, 3), as its box",
        ),
        (
            {"q0": np.full((2, 3), 12, np.uint8)},
            "q0 has values from 1 to 12, which a store does not keep",
        ),
        ({"q0": np.full((2, 3), 13, np.uint8)}, None),
    ],
)
def test_the_form_is_checked_also_where_no_digest_is_known(tmp_path, changes, said):
    members = {key: each for key, each in {**GOOD, **changes}.items() if each is not None}
    content = save(tmp_path / "x.npz", members)
    assert fault_of_content(content, 2, (4, 5), 12) == said


def test_what_is_no_npz_or_holds_objects(tmp_path):
    assert fault_of_content(b"hello", 2, (4, 5), 12).startswith("not a readable .npz (")
    objects = save(tmp_path / "x.npz", {**GOOD, "q0": np.array([{}], object)})
    assert fault_of_content(objects, 2, (4, 5), 12).startswith("not a readable .npz (Object")


def test_a_store_of_before_is_checked_by_its_form(path):
    store = Store.open(path)
    manifest = {**store.manifest}
    manifest["images"] = {
        name: {k: v for k, v in entry.items() if k not in {"npz_bytes", "npz_sha256",
                                                             "imported_sha256"}}
        for name, entry in manifest["images"].items()
    }  # fmt: skip
    write_json(path / "manifest.json", manifest)
    assert found(path) == []
    file = image_file(path, "a")
    file.write_bytes(file.read_bytes()[:-30])
    (fault,) = found(path)
    assert fault.startswith(f"{file}: not a readable .npz (")
    with StoreWriter.reopen(path) as writer:
        assert (writer.has("a", "aa"), writer.has("b", "bb")) == (False, True)
