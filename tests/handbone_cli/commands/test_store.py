from __future__ import annotations

import errno
import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest

from handbone_cli import files
from handbone_cli.store import importing
from handbone_cli.store.lock import LOCK, WriterLock
from handbone_cli.store.store import Store, image_file
from handbone_cli.testing import BONES, hb

NAMES = ",".join(BONES)
WHOLE = (0, 64, 0, 64)
IDS = ("image0006", "image0007", "image0010", "image0011")


@pytest.fixture
def store(trained_run, tmp_path):
    """A copy of the store of four images that belong to two people."""
    return shutil.copytree(trained_run.val, tmp_path / "val")


@pytest.fixture
def cubes(trained_run, tmp_path):
    """The same as float16 cubes, with their classes.txt."""
    done = hb("store", "export", trained_run.val, "-o", tmp_path / "cubes", "--to", "npy")
    assert done.code == 0, done.err
    return tmp_path / "cubes"


def same(one, other, image_id):
    """Whether two stores have an image to the byte."""
    return image_file(one, image_id).read_bytes() == image_file(other, image_id).read_bytes()


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*.np[yz]")}


def test_info_says_what_is_there(store):
    done = hb("store", "info", store)
    size = sum(image_file(store, image_id).stat().st_size for image_id in IDS)
    settings = Store.open(store).manifest["settings"]
    labels = Store.open(store).manifest["labels"]
    cube = 4 * 64 * 64 * 4 * 2
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"{store}: 4 images of 2 people, 4 classes",
        "sizes        64 x 64 (4)",
        (
            f"disk         {size / 2**20:.2f} MiB, {size // 4 / 2**10:.1f} KiB an image; cubes of "
            f"float16 {cube / size:.0f} times as much, of float32 {2 * cube / size:.0f}"
        ),
        "seen         0% of the images are of people the model was trained on",
        f"labels       competition in {labels['root']}",
        "model        tiny",
        f"weights      {settings['weights']}",
        "data         clahe=False normalize=imagenet resize=none fold=2",
        (
            "predict      sliding=True window=64 stride=32 gaussian=True sigma=0.3 "
            "average=probabilities"
        ),
        "tta          none",
        "postprocess  none",
        f"recipe       {settings['recipe']}",
        f"classes      {', '.join(BONES)}",
    ]


def test_info_as_json_and_of_what_is_no_store(store, tmp_path):
    facts = json.loads(hb("store", "info", store, "--json").out)
    assert (facts["images"], facts["people"], facts["seen"]) == (4, 2, 0.0)
    done = hb("store", "info", tmp_path)
    assert done.err == f"hb: {tmp_path}: not a store, there is no manifest.json in it.\n"
    assert done.code == 1


def test_verify_a_whole_store(store):
    done = hb("store", "verify", store)
    assert (done.code, done.out) == (0, f"{store}: 4 images read, nothing is wrong\n")


def test_a_torn_file_is_found_and_just_that_is_predicted_again(store, trained_run):
    file = image_file(store, IDS[1])
    content = file.read_bytes()
    file.write_bytes(content[:-9])
    done = hb("store", "verify", store)
    assert done.code == 1
    assert done.out.splitlines() == [
        f"{file}: {len(content) - 9} bytes; {len(content)} were written.",
        (
            f"{store}: 1 fault in 4 images; `hb store verify {store} --forget` drops the images "
            "among them, then the same `hb predict` or `hb store import` as before makes them again"
        ),
    ]
    others = {name: image_file(store, name).stat().st_mtime_ns for name in IDS if name != IDS[1]}
    assert hb("predict", trained_run.run, "-i", "val", "-o", store).code == 0
    assert file.read_bytes() == content
    assert others == {name: image_file(store, name).stat().st_mtime_ns for name in others}


def test_a_changed_byte_is_forgotten_and_predicted_again(store, trained_run):
    file = image_file(store, IDS[0])
    content = file.read_bytes()
    file.write_bytes(content[:200] + bytes([content[200] ^ 1]) + content[201:])
    (store / "mine.txt").write_text("x")
    done = hb("store", "verify", store, "--forget")
    assert done.code == 1  # the stranger stays
    assert done.out.splitlines() == [
        f"{file}: its content is not what was written (another SHA-256). Dropped.",
        f"{store}/mine.txt: belongs to no image of the store; delete it, or move it elsewhere.",
        (
            f"{store}: 2 faults, 1 dropped, 1 left; the same `hb predict` or `hb store import` as "
            "before makes them again"
        ),
    ]
    (store / "mine.txt").unlink()
    assert hb("predict", trained_run.run, "-i", "val", "-o", store).code == 0
    assert file.read_bytes() == content
    assert hb("store", "verify", store).code == 0


def test_verify_as_json(store):
    image_file(store, IDS[0]).unlink()
    done = hb("store", "verify", store, "--json")
    assert done.code == 1
    assert json.loads(done.out) == {
        "store": str(store), "images": 4, "unhashed": 0,
        "faults": [{"file": str(image_file(store, IDS[0])), "what": "missing", "image": IDS[0],
                    "forgotten": False}],
    }  # fmt: skip
    done = hb("store", "verify", store, "--json", "--forget")
    assert done.code == 0
    assert json.loads(done.out)["faults"][0]["forgotten"] is True


def test_a_store_without_digests_says_so(store):
    manifest = json.loads((store / "manifest.json").read_text())
    for entry in manifest["images"].values():
        del entry["npz_sha256"], entry["npz_bytes"], entry["imported_sha256"]
    (store / "manifest.json").write_text(json.dumps(manifest))
    assert hb("store", "verify", store).out == (
        f"{store}: 4 images read (4 without a SHA-256: their form alone), nothing is wrong\n"
    )


def test_two_writers_are_refused_and_readers_are_not(store, trained_run, cubes):
    held = WriterLock(store / LOCK)
    for words in (
        ("predict", trained_run.run, "-i", "val", "-o", store),
        ("store", "import", cubes, "--classes", NAMES, "-o", store),
    ):
        done = hb(*words)
        assert done.code == 1
        assert "writes this store; wait until it is done, or stop it." in done.err
    assert hb("store", "verify", store).code == 0
    assert hb("store", "info", store).out.splitlines()[0].endswith("writes it now")
    held.release()


@pytest.mark.parametrize("kind", ["npz", "npy"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "uint8"])
def test_export_and_import_give_the_same_bytes(store, tmp_path, kind, dtype):
    words = ("store", "export", store, "-o", tmp_path / "x", "--to", kind, "--dtype", dtype)
    assert hb(*words).out == f"{tmp_path / 'x'}: 4 images written, 4 classes\n"
    assert (tmp_path / "x" / "classes.txt").read_text().split() == list(BONES)
    done = hb("store", "import", tmp_path / "x", "--like", store, "-o", tmp_path / "back")
    assert (done.code, done.out) == (0, f"{tmp_path / 'back'}: 4 images, 4 classes\n")
    assert all(same(store, tmp_path / "back", image_id) for image_id in IDS)
    mine, theirs = Store.open(store), Store.open(tmp_path / "back")
    assert theirs.image_ids == mine.image_ids
    for image_id in IDS:
        old, new = mine.images[image_id], theirs.images[image_id]
        assert (new.person, new.sha256, new.source) == (old.person, old.sha256, old.source)
        assert new.imported_sha256 == digests(tmp_path / "x")[f"{image_id}.{kind}"]
    assert theirs.manifest["labels"] == mine.manifest["labels"]


def test_an_import_goes_into_an_ensemble_with_a_prediction(store, cubes, trained_run, tmp_path):
    back = tmp_path / "back"
    assert hb("store", "import", cubes, "--labels", trained_run.data.recipe, "-o", back).code == 0
    scores = [hb("evaluate", each).out.splitlines()[1:] for each in (store, back)]
    assert scores[0] == scores[1] != []
    done = hb("ensemble", "optimize", store, back, "-o", tmp_path / "e.toml")
    assert done.code == 0, done.err


def test_import_again_does_what_is_new_or_changed(cubes, tmp_path):
    back = tmp_path / "back"
    words = ("store", "import", cubes, "--classes", cubes / "classes.txt", "-o", back)
    done = hb(*words)
    assert "4 of 4 images count as a person each; --labels or --like says" in done.err
    before = {path.name: path.stat().st_mtime_ns for path in (back / "images").iterdir()}
    np.save(cubes / f"{IDS[2]}.npy", np.load(cubes / f"{IDS[3]}.npy"))
    np.save(cubes / "more.npy", np.load(cubes / f"{IDS[3]}.npy"))
    assert hb(*words).out == f"{back}: 5 images, 4 classes\n"
    after = {path.name: path.stat().st_mtime_ns for path in (back / "images").iterdir()}
    changed = {name for name in after if before.get(name) != after[name]}
    assert changed == {f"{IDS[2]}.npz", "more.npz"}
    assert same(back, back, IDS[2])
    full = Store.open(back).load("more").crop(0, WHOLE)
    assert np.array_equal(full, Store.open(back).load(IDS[2]).crop(0, WHOLE))
    assert hb("store", "verify", back).code == 0


def test_people_that_become_known_are_taken_over(cubes, trained_run, tmp_path):
    words = ("store", "import", cubes, "-o", tmp_path / "back")
    assert hb(*words, "--classes", NAMES).code == 0
    assert len({entry.person for entry in Store.open(tmp_path / "back").images.values()}) == 4
    assert hb(*words, "--labels", trained_run.data.recipe).code == 0
    assert len({entry.person for entry in Store.open(tmp_path / "back").images.values()}) == 2


def test_an_interrupted_import_goes_on_where_it_was(cubes, tmp_path, monkeypatch):
    words = ("store", "import", cubes, "--classes", NAMES, "-o", tmp_path / "back")
    real, counts = importing.read_probabilities, iter(range(9))

    def stop_at_the_third(*arguments):
        if next(counts) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(importing, "read_probabilities", stop_at_the_third)
    done = hb(*words)
    assert (done.code, done.out) == (130, "")
    assert hb("store", "verify", tmp_path / "back").code == 0
    assert Store.open(tmp_path / "back").image_ids == list(IDS[:2])
    assert not (tmp_path / "back" / LOCK).exists()
    monkeypatch.setattr(importing, "read_probabilities", real)
    before = image_file(tmp_path / "back", IDS[0]).stat().st_mtime_ns
    assert hb(*words).code == 0
    assert Store.open(tmp_path / "back").image_ids == list(IDS)
    assert image_file(tmp_path / "back", IDS[0]).stat().st_mtime_ns == before


def test_a_csv_of_rles(trained_run, tmp_path):
    table, back = tmp_path / "val.csv", tmp_path / "back"
    assert hb("submit", trained_run.val, "-o", table).code == 0
    for words in (("--like", trained_run.val), ("--labels", trained_run.data.recipe),
                  ("--size", "64x64")):  # fmt: skip
        shutil.rmtree(back, ignore_errors=True)
        done = hb("store", "import", table, *words, "-o", back)
        assert (done.code, done.out) == (0, f"{back}: 4 images, 4 classes\n"), done.err
        assert hb("submit", back, "-o", tmp_path / "again.csv").code == 0
        assert (tmp_path / "again.csv").read_bytes() == table.read_bytes()
        assert hb("store", "verify", back).code == 0
    done = hb("store", "import", table, "-o", tmp_path / "new")
    assert done.err == (
        f"hb: {table}: a CSV does not say how large image 'image0006' is; use --size, --labels or "
        "--like.\n"
    )
    assert not (tmp_path / "new").exists()


def test_png_masks_are_those_that_a_submission_has(trained_run, tmp_path):
    words = ("store", "export", trained_run.val, "-o", tmp_path / "masks", "--to", "png")
    assert hb(*words, "--image", IDS[1], "--bone", "Ulna", "--bone", "Radius").code == 0
    made = sorted(str(p.relative_to(tmp_path)) for p in (tmp_path / "masks").rglob("*.png"))
    assert made == [f"masks/{IDS[1]}/Radius.png", f"masks/{IDS[1]}/Ulna.png"]
    q = Store.open(trained_run.val).load_class(IDS[1], "Ulna").crop(0, WHOLE)
    mask = cv2.imread(str(tmp_path / made[1]), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(mask, np.where(q > 127.5, 255, 0))
    assert mask.any()


def test_export_again_writes_what_is_missing_or_has_changed(store, tmp_path):
    words = ("store", "export", store, "-o", tmp_path / "x", "--to", "npy")
    assert hb(*words, "--image", IDS[0]).out == f"{tmp_path / 'x'}: 1 images written, 4 classes\n"
    before = digests(tmp_path / "x")
    done = hb(*words)
    assert done.out == f"{tmp_path / 'x'}: 3 images written, 1 were there, 4 classes\n"
    shutil.copy(image_file(store, IDS[1]), image_file(store, IDS[0]))
    done = hb(*words)
    assert done.out == f"{tmp_path / 'x'}: 1 images written, 3 were there, 4 classes\n"
    after = digests(tmp_path / "x")
    assert after[f"{IDS[0]}.npy"] == after[f"{IDS[1]}.npy"] != before[f"{IDS[0]}.npy"]


def test_an_interrupted_export_leaves_whole_files(store, tmp_path, monkeypatch):
    words = ("store", "export", store, "-o", tmp_path / "x", "--to", "png")
    real, counts = files.os.fsync, iter(range(99))

    def stop(handle):
        if next(counts) == 7:
            raise KeyboardInterrupt
        real(handle)

    monkeypatch.setattr(files.os, "fsync", stop)
    assert hb(*words).code == 130
    monkeypatch.setattr(files.os, "fsync", real)
    assert len(list((tmp_path / "x").rglob("*.png"))) == 6  # export.json is the first file
    assert hb(*words).out == f"{tmp_path / 'x'}: 3 images written, 1 were there, 4 classes\n"
    assert len(list((tmp_path / "x").rglob("*.png"))) == 16


def full_disk(monkeypatch, after):
    counts = iter(range(99))
    real = files.os.fsync

    def fsync(handle):
        if next(counts) >= after:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(files.os, "fsync", fsync)
    return lambda: monkeypatch.setattr(files.os, "fsync", real)


@pytest.mark.parametrize("after", range(9))
def test_a_full_disk_is_one_sentence_and_a_store_that_goes_on(cubes, tmp_path, monkeypatch, after):
    words = ("store", "import", cubes, "--classes", NAMES, "-o", tmp_path / "back")
    freed = full_disk(monkeypatch, after)
    done = hb(*words)
    freed()
    assert done.code == 1
    assert done.err.splitlines()[-1].endswith(
        "the disk is full; free some space, then run the same command again."
    )
    assert hb(*words).code == 0
    assert hb("store", "verify", tmp_path / "back").code == 0


def write(folder, **contents):
    folder.mkdir()
    for name, content in contents.items():
        if isinstance(content, bytes):
            (folder / f"{name}.npy").write_bytes(content)
        else:
            np.save(folder / f"{name}.npy", content)


CUBE = np.zeros((4, 64, 64), np.float32)


def broken(index, value):
    cube = CUBE.copy()
    cube[index, 3, 4] = value
    return cube


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "{x}: the file is empty; write it again."),
        (b"hello", "{x}: not a .npy file, whatever its name says."),
        (CUBE[:3], "{x}: an array of 3 x 64 x 64; expected 4 classes, as CHW or HWC."),
        (broken(2, np.nan), "{x}: holds NaN; expected numbers from 0 to 1."),
        (
            broken(2, -7.5),
            (
                "{x}: values from -7.5 to 0, which are no probabilities; if they are logits, say "
                "--logits."
            ),
        ),
        (
            np.zeros((4, 32, 64), np.float32),
            "{x}: 32 x 64 pixels, and its image has 64 x 64.",
        ),
        (
            np.array([{}], object),
            (
                "{x}: an array of Python objects, which hb does not unpickle; save it as float16, "
                "float32, uint8 or bool."
            ),
        ),
    ],
)
def test_one_bad_file_is_named_and_the_others_are_imported(trained_run, tmp_path, content, said):
    folder, back = tmp_path / "maps", tmp_path / "back"
    write(folder, **{IDS[0]: CUBE, IDS[1]: content, IDS[2]: CUBE})
    done = hb("store", "import", folder, "--like", trained_run.val, "-o", back)
    path = folder / f"{IDS[1]}.npy"
    assert done.code == 1
    assert done.err.splitlines()[-1] == (
        f"hb: {said.format(x=path)} The other 2 of 3 are in {back}."
    )
    assert Store.open(back).image_ids == [IDS[0], IDS[2]]
    np.save(path, CUBE)
    assert hb("store", "import", folder, "--like", trained_run.val, "-o", back).code == 0
    assert Store.open(back).image_ids == list(IDS[:3])


def test_many_bad_files_are_not_all_tried(tmp_path):
    write(tmp_path / "maps", **{f"a{index}": b"" for index in range(7)})
    done = hb("store", "import", tmp_path / "maps", "--classes", NAMES, "-o", tmp_path / "back")
    assert done.err.count("the file is empty") == 5
    assert done.err.endswith("write it again. No more were tried.\n")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("none",), ("none: no such file, folder or match; expected .npy or .npz files, or a CSV "
                     "of RLEs.")),
        (("empty",), "empty: no .npy or .npz file in this folder."),
        (("note.txt",), "note.txt: expected .npy, .npz, or one .csv or .csv.gz by itself."),
        (("maps",), "arrays do not name their classes; use --classes, --like or --labels."),
        (("maps", "more", "--classes", NAMES),
         "maps/a.npy and more/a.npz: both are image 'a'; import one of them."),
        (("maps", "--classes", "Radius,Ulna", "--like", "{val}"),
         ("the classes given (2: Radius, Ulna, ...) are not those of --labels or --like (4: "
         "finger-1, Capitate, Radius, ...), in their order.")),
        (("maps", "--labels", "{recipe}"),
         "maps/a.npy: image 'a' is not in the dataset of --labels. A file is named as its image."),
        (("maps/a.npy", "--labels", "nowhere.toml"),
         "nowhere.toml: no such file or folder; expected a TOML file."),
        (("maps", "--classes", NAMES, "-o", "foreign"),
         "foreign: the folder has files but no store; choose another -o."),
        (("maps", "--classes", NAMES, "-o", "{val}"), "{val}: holds a store of another prediction"),
        (("table.csv",), ("table.csv, line 1: there is no column 'image_name'; expected "
                          "image_name, class, rle.")),
        (("evil.csv", "--size", "8x8"),
         "back: '../../evil' cannot name an image; it leaves the store."),
    ],
)  # fmt: skip
def test_import_mistakes(trained_run, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    known = {"val": trained_run.val, "recipe": trained_run.data.recipe}
    write(tmp_path / "maps", a=CUBE)
    for folder in ("more", "empty", "foreign"):
        (tmp_path / folder).mkdir()
    np.savez(tmp_path / "more" / "a.npz", CUBE)
    for name in ("note.txt", "foreign/thesis.tex", "table.csv"):
        (tmp_path / name).write_text("hello\n")
    (tmp_path / "evil.csv").write_text("image_name,class,rle\n../../evil.png,Radius,1 3\n")
    before = sorted(tmp_path.rglob("*"))
    out = () if "-o" in words else ("-o", "back")
    done = hb("store", "import", *(word.format(**known) for word in words), *out)
    assert done.code == 1
    assert done.err.splitlines()[-1].startswith(f"hb: {said.format(**known)}")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("import", "a.csv", "b.npy", "-o", "x"), "a CSV is imported by itself"),
        (("import", "a.csv", "--logits", "-o", "x"), "a CSV is imported by itself"),
        (("import", "a.npy", "--size", "3x3", "-o", "x"), "--size goes with a CSV"),
        (("import", "a.csv", "--size", "3", "-o", "x"), "--size 3: expected HxW in pixels"),
        (("import", "-o", "x"), "Missing argument 'SOURCE...'"),
        (("export", "s", "-o", "x", "--to", "png", "--dtype", "uint8"), "--threshold goes with"),
        (("export", "s", "-o", "x", "--to", "npy", "--threshold", "0.3"), "--threshold goes with"),
        (("export", "s", "-o", "x", "--to", "png", "--threshold", "1"), "is not in the range"),
    ],
)
def test_options_that_do_not_go_together(words, said):
    done = hb("store", *words)
    assert done.code == 2
    assert said in done.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--image", "image0001"), "there is no image 'image0001' in it. Did you mean"),
        (("--bone", "Radus"), "no class is called 'Radus'. Did you mean 'Radius'?"),
    ],
)
def test_export_of_what_is_not_there(trained_run, tmp_path, words, said):
    done = hb("store", "export", trained_run.val, "-o", tmp_path / "x", "--to", "npy", *words)
    assert done.code == 1
    assert done.err.startswith(f"hb: {trained_run.val}: {said}")
    assert not (tmp_path / "x").exists()


def test_export_leaves_foreign_folders_alone(trained_run, tmp_path):
    words = ("store", "export", trained_run.val, "--to", "npy", "-o")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    done = hb(*words, tmp_path / "mine")
    assert done.err == f"hb: {tmp_path / 'mine'}: the folder is not empty; choose another one.\n"
    assert hb(*words, tmp_path / "x").code == 0
    done = hb(*words, tmp_path / "x", "--dtype", "uint8")
    assert done.code == 1
    assert "holds files made with other settings (export.json)" in done.err
    assert (trained_run.val / "manifest.json").exists()
