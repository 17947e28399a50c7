from __future__ import annotations

import gzip
import json
from pathlib import Path

from handbone_cli.testing import BONES, hb


def test_rows_in_the_order_of_images_and_classes(trained_run, tmp_path):
    path = tmp_path / "submission.csv"
    done = hb("submit", trained_run.test, "-o", path)
    assert (done.code, done.out) == (0, f"{path}: 8 rows of 2 images, read back and equal\n")
    lines = path.read_text().splitlines()
    assert lines[0] == "image_name,class,rle"
    assert [line.split(",")[:2] for line in lines[1:]] == [
        [f"{image}.png", bone] for image in ("image0012", "image0013") for bone in BONES
    ]


def test_gzip_and_another_suffix(trained_run, tmp_path):
    path = tmp_path / "submission.csv.gz"
    assert hb("submit", trained_run.test, "--suffix", ".dcm", "-o", path).code == 0
    assert b"image0012.dcm,finger-1," in gzip.decompress(path.read_bytes())


def test_an_unfinished_store_is_refused(trained_run, tmp_path):
    import shutil

    store = tmp_path / "store"
    shutil.copytree(trained_run.test, store)
    manifest = json.loads((store / "manifest.json").read_text())
    del manifest["images"]["image0013"]
    (store / "manifest.json").write_text(json.dumps(manifest))
    done = hb("submit", store, "-o", tmp_path / "s.csv")
    assert done.code == 1
    assert done.err == (
        f"hb: {store}: 1 of 2 images are not predicted yet (image0013, ...); "
        "run the same `hb predict` again.\n"
    )
    assert not (tmp_path / "s.csv").exists()


def test_again_replaces_its_own_submission(trained_run, tmp_path):
    path = tmp_path / "submission.csv.gz"
    for _ in range(2):
        assert hb("submit", trained_run.test, "-o", path).code == 0


def test_without_on_the_stores_are_named(weighed, trained_run, second_run, tmp_path):
    done = hb("submit", weighed.decision, "-o", tmp_path / "s.csv")
    assert done.code == 0
    first, *_ = done.err.splitlines()
    head, named = first.split(": no --on, so on the stores that its weights were chosen on: ")
    assert head == str(weighed.decision)
    assert [Path(path).resolve() for path in named.split(", ")] == [trained_run.val, second_run.val]
    on = ("--on", trained_run.test, "--on", second_run.test)
    assert "no --on" not in hb("submit", weighed.decision, *on, "-o", tmp_path / "t.csv").err
    assert "no --on" not in hb("submit", trained_run.test, "-o", tmp_path / "u.csv").err
