from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import click
import cv2
import numpy as np
import pytest

from handbone_cli.commands.predict import default_store
from handbone_cli.prediction.predictor import Predictor
from handbone_cli.store.store import Store
from handbone_cli.testing import BONES, hb
from handbone_cli.testing.tiny import draw_tiny_hand, write_png

HAND = draw_tiny_hand(7, 1, 64, 4)[0]


@pytest.mark.parametrize(
    ("runs", "source", "store"),
    [
        (["pretrained"], "films/my_xray.png", "stores/pretrained_my_xray"),
        (["runs/first"], "val", "stores/first_val"),
        (["runs/first"], "-", "stores/first_stdin"),
        (["runs/first"], "films/", "stores/first_films"),
    ],
)
def test_a_store_has_a_name_of_its_own(runs, source, store):
    assert default_store([Path(run) for run in runs], source) == Path(store)


@pytest.mark.parametrize(("runs", "source"), [(["a", "b"], "val"), (["a"], "films/*.png")])
def test_no_name_is_guessed_where_it_is_unclear(runs, source):
    with pytest.raises(click.UsageError, match="-o STORE"):
        default_store([Path(run) for run in runs], source)


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
        "--average": settings["predict"].get("average") == "logits",
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
    predict, counts = Predictor.begin, iter(range(9))

    def stop_at_the_third(self, prepared):
        if next(counts) == 2:
            raise KeyboardInterrupt
        return predict(self, prepared)

    monkeypatch.setattr(Predictor, "begin", stop_at_the_third)
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


def planes_of(store, image_id):
    """(C, H, W) uint8 of an image in a store."""
    image = store.load(image_id)
    full = (0, image.size[0], 0, image.size[1])
    return np.stack([image.crop(index, full) for index in range(len(BONES))])


def test_a_set_of_views_is_each_of_them(trained_run, films, tmp_path):
    """Only the order of the sum is another."""
    views = {"set": ["flip"], "each": ["rot180", "vflip", "hflip"]}
    stores = []
    for name, said in views.items():
        words = [word for view in said for word in ("--tta", view)]
        done = hb("predict", trained_run.run, "-i", films, *words, "-o", tmp_path / name)
        assert done.code == 0, done.err
        stores.append(Store.open(tmp_path / name))
    assert manifest(tmp_path / "set")["settings"]["tta"] == [{"name": "flip"}]
    for image_id in stores[0].image_ids:
        one, other = (planes_of(store, image_id) for store in stores)
        assert np.abs(np.subtract(one, other, dtype=int)).max() <= 1


def test_a_view_that_is_there_twice(trained_run, films, tmp_path):
    words = ("--tta", "hflip", "--tta", "flip", "-o", tmp_path / "store")
    done = hb("predict", trained_run.run, "-i", films / "plain.png", *words)
    assert done.code == 1
    assert done.err == (
        "hb: tta: 'hflip' and 'flip' make the same view, which would count twice in the mean; "
        "leave one out.\n"
    )
    assert not (tmp_path / "store").exists()


def test_names_change_places_in_mirrored_views_as_the_run_noted(trained_run, films, tmp_path):
    """Training noted that no name has a side; here two have, and one run is from before."""
    facts = json.loads((trained_run.run / "run.json").read_text())
    assert facts.pop("mirror_pairs") == []
    noted = {
        "plain": {"mirror_pairs": []},
        "paired": {"mirror_pairs": [BONES[:2]]},
        "older": {},
        "foreign": {"mirror_pairs": [["left_thumb", BONES[1]]]},
    }
    planes = {}
    for name, more in noted.items():
        run, store = tmp_path / name, tmp_path / f"{name}_store"
        shutil.copytree(trained_run.run, run)
        (run / "run.json").write_text(json.dumps({**facts, **more}))
        command = ("predict", run, "-i", films / "plain.png", "-o", store)
        done = hb(*command, "--tta", "hflip")
        if name == "foreign":
            assert done.err == (
                f"hb: the dataset's mirror pair 'left_thumb', '{BONES[1]}' is not two of the "
                "model's classes; predict with the dataset that the run was trained on.\n"
            )
            continue
        assert done.code == 0, done.err
        planes[name] = planes_of(Store.open(store), "plain")
    changed = (planes["plain"] != planes["paired"]).any(axis=(1, 2))
    assert changed.tolist() == [True, True, *[False] * (len(BONES) - 2)]
    assert np.array_equal(planes["plain"], planes["older"])


def give(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))


def test_a_list_on_stdin(trained_run, films, tmp_path, monkeypatch):
    give(monkeypatch, f"{films}/plain.png\r\n\n{films}/below\n{films}/colour.jpg")
    done = hb("predict", trained_run.run, "-i", "-", "-o", tmp_path / "store")
    assert (done.code, done.out) == (0, f"{tmp_path / 'store'}: 3 images\n")
    assert list(manifest(tmp_path / "store")["images"]) == ["plain", "strip", "colour"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the list of -i - is empty; expected a path a line."),
        ("\n \n", "the list of -i - is empty; expected a path a line."),
        ("plain.png\nno.png\n", "the list of -i -, line 2: no.png: no such file or folder."),
        ("plain.png\n./plain.png\n",
         "the list of -i -, line 2: plain.png is there already, by line 1."),
    ],
)  # fmt: skip
def test_lists_that_are_mistaken(trained_run, films, tmp_path, monkeypatch, text, said):
    give(monkeypatch, text)
    done = hb("predict", trained_run.run, "-i", "-", "-o", tmp_path / "store", cwd=films)
    assert (done.code, done.err) == (1, f"hb: {said}\n")
    assert not (tmp_path / "store").exists()


def test_masks_of_all_forms_beside_the_store(trained_run, films, tmp_path):
    store, masks = tmp_path / "store", tmp_path / "masks"
    forms = [w for form in ("png", "packed", "coco", "contours") for w in ("--masks-as", form)]
    command = ("predict", trained_run.run, "-i", films, "-o", store, "--masks", masks, *forms)
    done = hb(*command)
    assert done.code == 0, done.err
    assert done.out.splitlines() == [
        f"{masks}/png: 4 images written, 4 classes",
        f"{masks}/packed: 4 images written, 4 classes",
        f"{masks}/coco: 4 images written, 4 classes",
        f"{masks}/contours: 4 images written, 4 classes",
        f"{store}: 4 images",
    ]
    for name in Store.open(store).image_ids:
        found = Store.open(store).load(name)
        packed = np.atleast_3d(
            cv2.imread(str(masks / "packed" / f"{name}.png"), cv2.IMREAD_UNCHANGED)
        )
        bits = np.unpackbits(packed, axis=2, count=4, bitorder="little")
        for index, bone in enumerate(BONES):
            q = found.crop(index, (0, found.size[0], 0, found.size[1]))
            mask = cv2.imread(str(masks / "png" / name / f"{bone}.png"), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(mask, np.where(q > 127, 255, 0))
            assert np.array_equal(bits[..., index], q > 127)
    again = hb(*command)
    assert again.out.splitlines()[:2] == [
        f"{masks}/png: 0 images written, 4 were there, 4 classes",
        f"{masks}/packed: 0 images written, 4 were there, 4 classes",
    ]


def test_a_new_image_gets_its_masks(trained_run, films, tmp_path):
    folder, masks = tmp_path / "films", tmp_path / "masks"
    shutil.copytree(films, folder)
    command = ("predict", trained_run.run, "-i", folder, "-o", tmp_path / "s", "--masks", masks)
    assert hb(*command).code == 0
    write_png(folder / "new.png", HAND)
    assert hb(*command).out.splitlines()[0] == (
        f"{masks}: 1 images written, 4 were there, 4 classes"
    )
    assert sorted(path.name for path in (masks / "new").iterdir()) == sorted(
        f"{bone}.png" for bone in BONES
    )


def test_masks_beside_films_that_cannot_be_read(trained_run, films, tmp_path):
    (tmp_path / "films").mkdir()
    shutil.copy(films / "plain.png", tmp_path / "films")
    (tmp_path / "films" / "note.png").write_text("hello")
    words = ("-o", "store", "--masks", "masks")
    done = hb("predict", trained_run.run, "-i", "films", *words, cwd=tmp_path)
    assert done.code == 1
    assert done.out == "masks: 1 images written, 4 classes\n"
    assert done.err.endswith("The other 1 of 2 are in store.\n")
    done = hb("predict", trained_run.run, "-i", "films/note.png", "-o", "s2", "--masks", "m2",
              cwd=tmp_path)  # fmt: skip
    assert done.code == 1
    assert not (tmp_path / "s2").exists()
    assert not (tmp_path / "m2").exists()


def test_masks_where_they_cannot_go_are_refused_before_prediction(
    trained_run, films, tmp_path, monkeypatch
):
    monkeypatch.setattr(Predictor, "begin", None)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    words = ("predict", trained_run.run, "-i", films, "-o", tmp_path / "store")
    done = hb(*words, "--masks", tmp_path / "mine")
    assert done.code == 1
    assert done.err == f"hb: {tmp_path / 'mine'}: the folder is not empty; choose another one.\n"
    assert not (tmp_path / "store").exists()
    done = hb(*words, "--masks-as", "coco")
    assert (done.code, done.err.splitlines()[-1]) == (2, "Error: --masks-as goes with --masks DIR.")


@pytest.mark.parametrize("workers", [0, 3])
def test_workers_change_nothing_in_the_store(trained_run, films, tmp_path, workers):
    for name, words in (("a", ()), ("b", ("--workers", workers))):
        done = hb("predict", trained_run.run, "-i", films, "-o", tmp_path / name, *words)
        assert done.code == 0, done.err
    one, other = ({p.name: p.read_bytes() for p in (tmp_path / name).rglob("*.*") if p.is_file()}
                  for name in "ab")  # fmt: skip
    assert one == other
    assert len(one) == 5


def test_a_window_weight_by_its_plugin(trained_run, films, tmp_path):
    def predicted(name, *options):
        store = tmp_path / name
        done = hb("predict", trained_run.run, "-i", films, "-o", store, *options)
        assert done.code == 0, done.err
        return Store.open(store)

    small = ("--window", "64", "--stride", "32")
    hann = predicted("hann", *small, "--window-weight", "hann:power=2")
    assert hann.manifest["settings"]["predict"]["weight"] == {"name": "hann", "power": 2.0}
    gaussian = predicted("gaussian", *small)
    assert "weight" not in gaussian.manifest["settings"]["predict"]
    assert hann.digest() != gaussian.digest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("han", "'han'"),
        ("hann:power=0", "--window-weight: predict.weight.power = 0"),
        ("hann:power", "for example hann:power=2"),
    ],
)
def test_window_weights_that_are_mistaken(trained_run, films, tmp_path, text, said):
    refused = hb("predict", trained_run.run, "-i", films, "-o", tmp_path / "s",
                 "--window-weight", text)  # fmt: skip
    assert refused.code == 1
    assert said in refused.err
    assert refused.err.count("\n") == 1
