from __future__ import annotations

import re

import cv2
import numpy as np
import pytest

from handbone_cli.data.images import read_grey
from handbone_cli.testing import hb, tiny_recipe, write_tiny_hands


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("HANDBONE_CACHE", str(tmp_path / "cache"))
    root = write_tiny_hands(tmp_path / "hands", people=3)
    (tmp_path / "tiny.toml").write_text(tiny_recipe(root))
    return tmp_path


def prepare(place, *more):
    done = hb("data", "prepare", place / "tiny.toml", "--workers", "1", *more)
    size = re.sub(r"[\d.]+ MiB\b(?! became)", "N MiB", done.out)
    return done.code, size.replace(str(place), "."), done.err.replace(str(place), ".")


def test_once_and_again(place):
    assert prepare(place)[:2] == (0, "./cache: 8 images prepared, 0 were there; N MiB\n")
    assert prepare(place)[:2] == (0, "./cache: 0 images prepared, 8 were there; N MiB\n")
    changed = prepare(place, "--set", "data.resize=32")
    assert changed[1] == "./cache: 8 images prepared, 0 were there; N MiB\n"
    assert prepare(place, "--clear") == (0, "./cache: N MiB freed\n", "")
    assert prepare(place)[1].startswith("./cache: 8 images prepared")


def test_training_begins_where_preparing_ended(place, monkeypatch):
    prepare(place)

    def refuse(*_, **__):
        raise AssertionError("decoded again")

    monkeypatch.setattr("handbone_cli.data.images.cv2.imdecode", refuse)
    sets = ("--set", "train.epochs=1", "--set", "tracking.pictures=0")  # which show the film itself
    trained = hb("train", place / "tiny.toml", "-o", place / "run", *sets)
    assert trained.code == 0, trained.err


def test_a_bad_image_is_named_and_the_others_are_prepared(place):
    bad = place / "hands" / "train" / "DCM" / "ID001" / "image0000.png"
    bad.write_bytes(b"")
    code, out, err = prepare(place)
    assert (code, out) == (1, "./cache: 7 images prepared, 0 were there; N MiB\n")
    assert "image0000: ./hands/train/DCM/ID001/image0000.png: the file is empty." in err


def test_without_a_cache_there_is_nothing_to_prepare(place):
    code, out, err = prepare(place, "--set", "data.cache=false")
    assert (code, out) == (1, "")
    assert err == "hb: data.cache = false: the recipe keeps no prepared images.\n"


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_copy_can_be_trained_on(place, kind):
    copy = place / "copy"
    options = ("--images", copy, "--format", kind, "--bake-clahe")
    clahe = ("--set", "data.clahe={clip_limit=2.0, tiles=4}")
    code, out, _ = prepare(place, *options, *clahe)
    assert code == 0
    assert out.splitlines()[0].startswith("./copy: 8 images, ")
    assert ("RMS error" in out) == (kind == "jpeg")
    assert out.splitlines()[1] == "train on it with --set data.root=./copy --set data.clahe=false"
    suffix = ".png" if kind == "png" else ".jpg"
    made = read_grey((copy / "train/DCM/ID002/image0003").with_suffix(suffix))
    source = read_grey(place / "hands/train/DCM/ID002/image0003.png")
    expected = cv2.createCLAHE(2.0, (4, 4)).apply(source)
    assert np.abs(made.astype(int) - expected).mean() <= (0 if kind == "png" else 4)
    checked = hb("data", "check", place / "tiny.toml", "--set", f"data.root={copy}")
    assert checked.out.splitlines()[-1] == "no problems"


def test_a_copy_goes_on_where_it_stopped(place):
    copy = place / "copy"
    prepare(place, "--images", copy)
    lost, kept = copy / "train/DCM/ID002/image0003.png", copy / "train/DCM/ID001/image0000.png"
    lost.unlink()
    before = kept.stat().st_mtime_ns
    assert prepare(place, "--images", copy)[0] == 0
    assert lost.exists()
    assert kept.stat().st_mtime_ns == before
    code, _, err = prepare(place, "--images", copy, "--format", "jpeg")
    assert code == 1
    assert err == (
        "hb: ./copy: holds files made with other settings (prepared.json); choose another folder, "
        "or delete it.\n"
    )


def test_what_cannot_be_copied(place):
    (place / "full").mkdir()
    (place / "full" / "thesis.tex").write_text("mine")
    code, _, err = prepare(place, "--images", place / "full")
    assert (code, err) == (1, "hb: ./full: the folder is not empty; choose another one.\n")
    code, _, err = prepare(place, "--images", place / "copy", "--bake-clahe")
    assert code == 1
    assert "data.clahe = false" in err


def test_a_copy_follows_its_source(place):
    copy, source = place / "copy", place / "hands"
    prepare(place, "--images", copy)
    labels = "train/outputs_json/ID001/image0000.json"
    (source / labels).write_text((source / labels).read_text().replace("Radius", "Ulna"))
    image = "train/DCM/ID001/image0001.png"
    (source / image).write_bytes((source / "train/DCM/ID002/image0002.png").read_bytes())
    gone = source / "train/outputs_json/ID002/image0002.json"
    gone.unlink()
    code, _, err = prepare(place, "--images", copy)
    assert code == 0
    assert (copy / labels).read_text() == (source / labels).read_text()
    assert np.array_equal(read_grey(copy / image), read_grey(source / image))
    assert "./copy/train/outputs_json/ID002/image0002.json: its source is gone" in err


def test_options_of_a_copy_need_a_copy(place):
    code, out, err = prepare(place, "--format", "jpeg")
    assert (code, out) == (2, "")
    assert "go with --images DIR." in err


def test_a_copy_is_never_inside_its_source(place):
    for folder in (place / "hands" / "sub", place):
        code, _, err = prepare(place, "--images", folder)
        assert code == 1
        assert "inside the data or around it" in err
    assert not (place / "hands" / "sub").exists()
