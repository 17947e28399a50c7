from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.store import store as store_module
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.journal import Journal
from handbone_cli.store.store import ImageEntry, Store, StoreWriter, image_file

NAMES = ("Radius", "Ulna")
SETTINGS = {"model": "nnunet", "tta": ["hflip"], "predict": {"window": 64}}


def probabilities(value):
    plane = np.full((6, 8), value, np.uint8)
    return BoxedProbabilities.from_planes(2, (6, 8), lambda _: (plane, (0, 6, 0, 8)))


def entry(sha256="aa", person="ID1"):
    return ImageEntry(person, 6, 8, f"/data/{person}.png", sha256, seen=False)


def writer(path, *, names=NAMES, settings=SETTINGS, order=("b", "a"), labels=None):
    return StoreWriter(path, names, settings, order, labels)


@pytest.fixture
def path(tmp_path):
    """A store with image 'a' of the two that were asked for."""
    with writer(tmp_path / "store", labels={"dataset": "generated"}) as store:
        store.write("a", probabilities(200), entry())
    return tmp_path / "store"


def written(path, image_id):
    """What the writer adds to an entry."""
    content = image_file(path, image_id).read_bytes()
    return {"npz_bytes": len(content), "npz_sha256": hashlib.sha256(content).hexdigest()}


def said(call, *arguments, **named):
    with pytest.raises(HandboneError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def test_a_written_store_is_read_back(path):
    store = Store.open(path)
    assert (store.name, store.class_names) == ("store", NAMES)
    assert store.images == {"a": replace(entry(), **written(path, "a"))}
    assert store.image_ids == ["a"]
    assert store.load("a").crop(1, (0, 6, 0, 8)).tolist() == [[200] * 8] * 6


def test_the_manifest_says_how_the_numbers_were_made(path):
    manifest = json.loads((path / "manifest.json").read_text())
    assert [manifest[key] for key in ("format", "floor", "core", "margin")] == [1, 12, 64, 16]
    assert manifest["settings"] == SETTINGS
    assert manifest["labels"] == {"dataset": "generated"}
    assert manifest["order"] == ["b", "a"]
    assert manifest["images"]["a"] == {
        "person": "ID1",
        "height": 6,
        "width": 8,
        "source": "/data/ID1.png",
        "sha256": "aa",
        "seen": False,
        "imported_sha256": "",
        **written(path, "a"),
    }


def test_a_writer_continues_and_keeps_the_order_asked_for(path):
    store = writer(path, order=("c", "b"))
    assert store.has("a", "aa")
    store.write("c", probabilities(90), entry("cc", "ID2"))
    store.write("b", probabilities(80), entry("bb", "ID3"))
    opened = Store.open(path)
    assert opened.image_ids == ["b", "a", "c"]
    assert opened.load("a").crop(0, (0, 1, 0, 1)).tolist() == [[200]]


def test_has_depends_on_the_bytes_and_the_file(path):
    store = writer(path)
    assert store.has("a", "aa")
    assert not store.has("a", "bb")
    assert not store.has("b", "aa")
    image_file(path, "a").unlink()
    assert not store.has("a", "aa")


def test_an_image_without_a_file_is_never_taken_for_done(path):
    store = writer(path)
    store.write("b", probabilities(80), entry(sha256=""))
    assert not store.has("b", "")


def test_an_image_is_listed_after_its_file_is_there(path, monkeypatch):
    def torn(*_):
        raise HandboneError("the disk is full")

    monkeypatch.setattr(BoxedProbabilities, "save", torn)
    store = writer(path)
    assert said(store.write, "b", probabilities(80), entry("bb")) == "the disk is full"
    assert Store.open(path).image_ids == ["a"]


@pytest.mark.parametrize(
    ("settings", "changes"),
    [
        ({**SETTINGS, "model": "hrnet_w48"}, "model (nnunet then, hrnet_w48 now)"),
        (
            {**SETTINGS, "model": "hrnet_w48", "tta": []},
            "model (nnunet then, hrnet_w48 now), tta (hflip then, none now)",
        ),
        ({**SETTINGS, "predict": {"window": 32}}, "predict.window (64 then, 32 now)"),
        ({**SETTINGS, "fold": 3}, "fold (none then, 3 now)"),
        ({"model": "nnunet", "tta": ["hflip"]}, "predict (window=64 then, none now)"),
    ],
)
def test_other_settings_are_refused_with_both_values(path, settings, changes):
    before = (path / "manifest.json").read_bytes()
    assert said(writer, path, settings=settings) == (
        f"{path}: holds a store of another prediction: {changes}; "
        "predict as then to add to it, choose another -o, or delete it."
    )
    assert (path / "manifest.json").read_bytes() == before


def test_another_class_list_is_refused(path):
    assert said(writer, path, names=("Ulna", "Radius")) == (
        f"{path}: holds a store of another prediction: other classes; "
        "predict as then to add to it, choose another -o, or delete it."
    )


def test_a_store_without_an_image_is_taken_away_again(tmp_path):
    new = tmp_path / "stores" / "new"
    writer(new).close()
    assert list(tmp_path.rglob("*")) == [tmp_path / "stores"]


def test_a_store_with_an_image_or_from_before_or_with_more_in_it_stays(path, tmp_path):
    with writer(tmp_path / "one") as store:
        store.write("a", probabilities(9), entry())
    killed(writer(tmp_path / "before"))
    writer(tmp_path / "before").close()
    assert Store.open(tmp_path / "one").image_ids == ["a"]
    assert (tmp_path / "before" / "manifest.json").exists()
    mixed = writer(tmp_path / "mixed")
    (tmp_path / "mixed" / "images" / "x.npz").write_text("x")
    mixed.close()
    assert (tmp_path / "mixed" / "images" / "x.npz").exists()


def test_what_lies_in_a_stores_stead_is_said(tmp_path):
    (tmp_path / "run.json").write_text("{}")
    assert said(Store.open, tmp_path) == (
        f"{tmp_path}: not a store, but a run; `hb predict {tmp_path} -i val -o STORE` makes a "
        "store with it."
    )
    assert said(Store.open, tmp_path / "run.json") == (
        f"{tmp_path / 'run.json'}: not a store, but a file; expected a folder that "
        "`hb predict -o` writes."
    )


def test_a_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("x")
    assert said(writer, tmp_path) == (
        f"{tmp_path}: the folder has files but no store; choose another -o."
    )
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (None, "{path}: not a store, there is no manifest.json in it."),
        ("[]", "{path}/manifest.json: not a store manifest of format 1."),
        ('{"format": 2}', "{path}/manifest.json: not a store manifest of format 1."),
        ('{"format": 1}', "{path}/manifest.json: lacks class_names, images, settings."),
        ("{", "{path}/manifest.json: not JSON (line 1: "),
    ],
)
def test_what_is_no_store(tmp_path, manifest, message):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    assert said(Store.open, tmp_path).startswith(message.format(path=tmp_path))


def test_no_folder_is_no_store(tmp_path):
    path = tmp_path / "none"
    assert said(Store.open, path) == (
        f"{path}: no such file or folder; expected a store (a folder that `hb predict -o` writes)."
    )


def test_the_digest_names_settings_classes_and_images(path, tmp_path):
    first = Store.open(path).digest()
    assert Store.open(path).digest() == first
    digests = {first}
    for number, changes in enumerate(
        [{"settings": {**SETTINGS, "model": "x"}}, {"names": ("a", "b")}, {}]
    ):
        other = writer(tmp_path / str(number), **changes)
        other.write("a", probabilities(200), entry("aa" if changes else "bb"))
        other.close()
        digests.add(Store.open(other.path).digest())
    assert len(digests) == 4


def test_a_torn_or_replaced_file_is_not_done(path):
    file = image_file(path, "a")
    file.write_bytes(file.read_bytes()[:-1])
    with writer(path) as store:
        assert not store.has("a", "aa")


def test_images_wait_in_the_journal_until_the_manifest_takes_them(path):
    store = writer(path)
    manifest = (path / "manifest.json").read_bytes()
    store.write("b", probabilities(80), entry("bb"))
    assert (path / "manifest.json").read_bytes() == manifest
    assert Store.open(path).image_ids == ["b", "a"]  # a reader meanwhile
    store.close()
    assert list(json.loads((path / "manifest.json").read_text())["images"]) == ["b", "a"]
    assert sorted(each.name for each in path.iterdir()) == ["images", "manifest.json"]


def killed(store):
    """As kill -9 leaves it: the kernel gives its lock back, the file stays."""
    lock, store._lock._handle = store._lock._handle, None
    os.close(lock)
    described = json.loads((store.path / "writer.lock").read_text())
    (store.path / "writer.lock").write_text(json.dumps({**described, "since": "1"}))


def test_a_killed_writer_is_succeeded_and_its_images_are_kept(path):
    store = writer(path)
    store.write("b", probabilities(80), entry("bb"))
    killed(store)
    with (path / "images.jsonl").open("a") as file:
        file.write('{"image_id": "c", "ent')  # torn
    assert Store.open(path).image_ids == ["b", "a"]
    with writer(path, order=("b", "a", "c")) as again:
        assert again.has("b", "bb")
        again.write("c", probabilities(70), entry("cc"))
    assert Store.open(path).image_ids == ["b", "a", "c"]


def test_a_writer_that_was_killed_at_its_start_is_in_nobodys_way(tmp_path):
    store = writer(tmp_path / "store")
    killed(store)
    (tmp_path / "store" / "manifest.json").unlink()
    with writer(tmp_path / "store") as again:
        again.write("a", probabilities(9), entry())
    assert Store.open(tmp_path / "store").image_ids == ["a"]


def test_two_writers_on_one_store(path):
    with writer(path):
        said_first = said(writer, path)
        assert said_first.startswith(f"{path}: process {os.getpid()} on ")
        assert Store.open(path).image_ids == ["a"]  # readers never wait
    writer(path).close()


def test_a_refused_writer_gives_its_lock_back(path):
    for _ in range(2):
        assert "another prediction" in said(writer, path, settings={})
    writer(path).close()


def test_forgetting(path):
    with StoreWriter.reopen(path) as store:
        store.forget("a")
        assert not store.has("a", "aa")
        assert Store.open(path).image_ids == []
    assert json.loads((path / "manifest.json").read_text())["images"] == {}
    assert not image_file(path, "a").exists()


def test_a_crash_between_manifest_and_journal_forgets_nothing_and_revives_nothing(path):
    store = StoreWriter.reopen(path)
    store.write("b", probabilities(80), entry("bb"))
    store.forget("a")
    journal = (path / "images.jsonl").read_bytes()
    store.close()
    (path / "images.jsonl").write_bytes(journal)  # the manifest was written, this not yet removed
    assert Store.open(path).image_ids == ["b"]


def test_a_reader_sees_images_that_the_manifest_takes_just_then(path, monkeypatch):
    store = writer(path)
    store.write("b", probabilities(80), entry("bb"))
    json_read, changes = store_module.read_json, Journal.changes

    def then_close(found):
        monkeypatch.undo()
        store.close()
        return found

    monkeypatch.setattr(store_module, "read_json", lambda file: then_close(json_read(file)))
    monkeypatch.setattr(Journal, "changes", lambda self: then_close(changes(self)))
    assert Store.open(path).image_ids == ["b", "a"]
    assert not (path / "writer.lock").exists()


def test_labels_that_were_known_stay_known(path):
    writer(path).close()
    assert Store.open(path).manifest["labels"] == {"dataset": "generated"}
    writer(path, labels={"dataset": "competition"}).close()
    assert Store.open(path).manifest["labels"] == {"dataset": "competition"}


@pytest.mark.parametrize("image_id", ["../a", "/tmp/a", "x/../../a", ""])
def test_no_image_leaves_its_store(path, image_id):
    with writer(path) as store:
        assert said(store.write, image_id, probabilities(9), entry()) == (
            f"{path}: '{image_id}' cannot name an image; it leaves the store."
        )


def test_one_class_reads_nothing_else(path, monkeypatch):
    store = Store.open(path)
    planes = np.zeros((2, 60, 80), np.uint8)
    planes[0, 2, 3], planes[1, 40, 50] = 100, 200
    whole = (0, 60, 0, 80)
    with writer(path) as again:
        boxed = BoxedProbabilities.from_planes(2, (60, 80), lambda c: (planes[c], whole))
        again.write("a", boxed, entry())
    names = []
    real = np.lib.npyio.NpzFile.__getitem__
    monkeypatch.setattr(
        np.lib.npyio.NpzFile, "__getitem__", lambda self, key: names.append(key) or real(self, key)
    )
    ulna = store.load_class("a", "Ulna")
    assert sorted(names) == ["boxes", "q1", "size"]
    assert (ulna.size, len(ulna.crops), len(ulna.boxes)) == ((60, 80), 1, 1)
    assert np.array_equal(ulna.crop(0, whole), planes[1])
    turned = store.load("a", ["Ulna", "Radius"])
    for place in range(2):
        assert np.array_equal(turned.crop(place, whole), planes[1 - place])


def test_an_unknown_class(path):
    assert said(Store.open(path).load_class, "a", "Radus") == (
        f"{path}: no class is called 'Radus'. Did you mean 'Radius'? Known: Radius, Ulna."
    )


def test_an_imported_image_is_another_when_its_file_is(path, tmp_path):
    digests = set()
    for number, imported in enumerate(("", "f1", "f2")):
        with writer(tmp_path / str(number)) as store:
            store.write("a", probabilities(9), replace(entry(), imported_sha256=imported))
            assert store.has("a", "aa", imported)
            assert not store.has("a", "aa", "f3")
        digests.add(Store.open(tmp_path / str(number)).digest())
    assert len(digests) == 3
