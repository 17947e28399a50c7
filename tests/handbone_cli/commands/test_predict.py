from __future__ import annotations

import json
import shutil

import cv2
import numpy as np
import pytest

from handbone_cli.prediction.predictor import Predictor
from handbone_cli.store.store import Store
from handbone_cli.testing import BONES, hb
from handbone_cli.testing.tiny import draw_tiny_hand, write_png

HAND = draw_tiny_hand(7, 1, 64, 4)[0]


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """The same hand as 8 bit, 16 bit, colour JPEG, and cut to a strip."""
    folder = tmp_path_factory.mktemp("films")
    write_png(folder / "plain.png", HAND)
    write_png(folder / "deep.png", HAND.astype(np.uint16) * 200 + 31)
    (folder / "colour.jpg").write_bytes(
        cv2.imencode(".jpg", cv2.cvtColor(HAND, cv2.COLOR_GRAY2BGR), [1, 98])[1].tobytes()
    )
    write_png(folder / "below" / "strip.png", HAND[:41])
    return folder


def manifest(store):
    return json.loads((store / "manifest.json").read_text())


def test_a_split_knows_its_labels_and_people(trained_run):
    val, test = manifest(trained_run.val), manifest(trained_run.test)
    assert len(val["order"]) == 4
    assert test["order"] == ["image0012", "image0013"]
    assert val["class_names"] == list(BONES)
    assert val["labels"]["root"] == str(trained_run.data.root)
    assert [entry["person"] for entry in test["images"].values()] == ["ID007", "ID007"]
    assert not any(entry["seen"] for entry in val["images"].values())


def test_images_that_were_trained_on_are_marked(trained_run, tmp_path):
    done = hb("predict", trained_run.run, "-i", "train", "-o", tmp_path / "store")
    assert (done.code, done.out) == (0, f"{tmp_path / 'store'}: 8 images\n")
    assert all(entry["seen"] for entry in manifest(tmp_path / "store")["images"].values())


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["strip", "colour", "deep", "plain"]),
        ("*.png", ["deep", "plain"]),
        ("plain.png", ["plain"]),
    ],
)
def test_a_folder_a_glob_and_a_file(trained_run, films, tmp_path, pattern, names):
    store = tmp_path / "store"
    done = hb("predict", trained_run.run, "-i", films / pattern, "-o", store)
    assert (done.code, done.out) == (0, f"{store}: {len(names)} images\n"), done.err
    assert list(manifest(store)["images"]) == names
    assert manifest(store)["labels"] is None


def test_depth_colour_and_shape(trained_run, films, tmp_path):
    """A 16-bit PNG, a colour JPEG and a strip are predicted in their own pixels."""
    hb("predict", trained_run.run, "-i", films, "-o", tmp_path / "store")
    store = Store.open(tmp_path / "store")
    loaded = {name: store.load(name) for name in store.image_ids}
    sizes = {name: each.size for name, each in loaded.items()}
    assert sizes == {"strip": (41, 64), "colour": (64, 64), "deep": (64, 64), "plain": (64, 64)}
    full = (0, 64, 0, 64)
    plain = loaded["plain"].crop(0, full) > 127
    assert plain.any()
    colour = loaded["colour"].crop(0, full) > 127
    assert 2 * (plain & colour).sum() / (plain.sum() + colour.sum()) > 0.9


def test_again_does_nothing_and_a_new_file_is_added(trained_run, films, tmp_path):
    folder, store = tmp_path / "films", tmp_path / "store"
    shutil.copytree(films, folder)
    command = ("predict", trained_run.run, "-i", folder, "-o", store)
    assert hb(*command).code == 0
    before = {path.name: path.stat().st_mtime_ns for path in (store / "images").iterdir()}
    write_png(folder / "new.png", HAND)
    write_png(folder / "plain.png", HAND[::-1].copy())
    assert hb(*command).out == f"{store}: 5 images\n"
    after = {path.name: path.stat().st_mtime_ns for path in (store / "images").iterdir()}
    assert {name for name in after if before.get(name) != after[name]} == {"new.npz", "plain.npz"}


@pytest.mark.parametrize(
    "options",
    [
        ("--whole",),
        ("--sliding", "--uniform", "--window", 32, "--stride", 16, "--batch-size", 5),
        ("--tta", "hflip", "--tta", "scale:factor=0.75"),
        ("--tta", "none", "--gaussian"),
        ("--average", "logits"),
    ],
)
def test_options_are_noted(trained_run, films, tmp_path, options):
    store = tmp_path / "store"
    done = hb("predict", trained_run.run, "-i", films / "plain.png", *options, "-o", store)
    assert done.code == 0, done.err
    settings = manifest(store)["settings"]
    expected = {
        "--whole": settings["predict"]["sliding"] is False,
        "--sliding": (settings["predict"]["window"], settings["predict"]["gaussian"])
        == (32, False),
        "--average": settings["predict"]["average"] == "logits",
        "--tta": settings["tta"]
        == ([{"name": "hflip"}, {"name": "scale", "factor": 0.75}] if "hflip" in options else []),
    }
    assert expected[options[0]]


def test_paths_are_kept_for_pictures_from_elsewhere(trained_run, films, tmp_path):
    """A store from a relative path can be drawn from another folder."""
    done = hb("predict", trained_run.run, "-i", "plain.png", "-o", tmp_path / "s", cwd=films)
    assert done.code == 0, done.err
    drawn = hb("visualize", tmp_path / "s", "-o", tmp_path / "pictures", cwd=tmp_path)
    assert drawn.code == 0, drawn.err


@pytest.mark.parametrize("name", ["films", "hand.png"])
def test_a_predict_that_fails_at_its_start_leaves_no_store(trained_run, tmp_path, name):
    (tmp_path / "films").mkdir()
    for path in (tmp_path / "films" / "note.png", tmp_path / "hand.png"):
        path.write_text("hello")
    done = hb("predict", trained_run.run, "-i", name, "-o", "store", cwd=tmp_path)
    path = "films/note.png" if name == "films" else name
    assert done.code == 1
    said = done.err.splitlines()[-1]
    assert said.startswith(f"hb: {path}: not a PNG or JPEG image")
    assert said.endswith("whatever its name says.")
    assert not (tmp_path / "store").exists()


def test_an_interrupted_predict_leaves_a_store_of_what_is_done(
    trained_run, films, tmp_path, monkeypatch
):
    predict, counts = Predictor.predict, iter(range(9))

    def stop_at_the_third(self, image):
        if next(counts) == 2:
            raise KeyboardInterrupt
        return predict(self, image)

    monkeypatch.setattr(Predictor, "predict", stop_at_the_third)
    done = hb("predict", trained_run.run, "-i", films, "-o", tmp_path / "store")
    assert done.code == 130
    assert list(manifest(tmp_path / "store")["images"]) == ["strip", "colour"]


def test_the_others_are_counted(trained_run, films, tmp_path):
    folder = tmp_path / "films"
    shutil.copytree(films, folder)
    (folder / "note.png").write_text("hello")
    done = hb("predict", trained_run.run, "-i", "films", "-o", "store", cwd=tmp_path)
    assert done.code == 1
    said = done.err.splitlines()[-1]
    assert said.startswith("hb: films/note.png: not a PNG or JPEG image")
    assert said.endswith("whatever its name says. The other 4 of 5 are in store.")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("-i", "films/a.png", "films/b.png"),
            "unexpected words: films/b.png; a pattern for -i needs quotes: -i 'films/*.png'.",
        ),
        (
            ("-i", "a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg"),
            "unexpected words: b.jpg c.jpg d.jpg ...; a pattern for -i needs quotes: -i '*.jpg'.",
        ),
        (("val", "-i", "val"), "unexpected words: val."),
    ],
)
def test_a_glob_without_quotes_is_a_mistake_of_usage(tmp_path, words, said):
    done = hb("predict", "run", *words, "-o", tmp_path / "store")
    assert done.code == 2
    assert done.err.splitlines()[0].startswith("Usage: hb predict ")
    assert done.err.splitlines()[-1] == f"Error: {said}"


def test_a_view_at_its_defaults_is_the_same_view(trained_run, films, tmp_path):
    command = ("predict", trained_run.run, "-i", films / "plain.png", "-o", tmp_path / "store")
    for view in ("rot90", "rot90:turns=1"):
        assert hb(*command, "--tta", view).code == 0
    assert manifest(tmp_path / "store")["settings"]["tta"] == [{"name": "rot90", "turns": 1}]
