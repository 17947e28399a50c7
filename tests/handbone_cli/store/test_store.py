from __future__ import annotations

import json

import numpy as np
import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.store.boxes import BoxedProbabilities
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
    store = writer(tmp_path / "store", labels={"dataset": "generated"})
    store.write("a", probabilities(200), entry())
    return tmp_path / "store"


def said(call, *arguments, **named):
    with pytest.raises(HandboneError) as caught:
        call(*arguments, **named)
    return str(caught.value)


def test_a_written_store_is_read_back(path):
    store = Store.open(path)
    assert (store.name, store.class_names) == ("store", NAMES)
    assert store.images == {"a": entry()}
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
    writer(new).remove_if_empty()
    assert list(tmp_path.rglob("*")) == [tmp_path / "stores"]


def test_a_store_with_an_image_or_from_before_or_with_more_in_it_stays(path, tmp_path):
    store = writer(tmp_path / "one")
    store.write("a", probabilities(9), entry())
    store.remove_if_empty()
    writer(tmp_path / "before")
    writer(tmp_path / "before").remove_if_empty()
    assert Store.open(tmp_path / "one").image_ids == ["a"]
    assert (tmp_path / "before" / "manifest.json").exists()
    mixed = writer(tmp_path / "mixed")
    (tmp_path / "mixed" / "images" / "x.npz").write_text("x")
    mixed.remove_if_empty()
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
        digests.add(Store.open(other.path).digest())
    assert len(digests) == 4
