"""docs/store.md: its programs read and write stores that are whole."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from handbone_cli.store.store import Store
from handbone_cli.testing import hb

TEXT = (Path(__file__).parents[2] / "docs" / "store.md").read_text(encoding="utf-8")
READS, WRITES = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def execute(program):
    names = {}
    exec(compile(program, "docs/store.md", "exec"), names)
    return names


def test_the_program_that_reads(trained_run, tmp_path, monkeypatch):
    (tmp_path / "first_val").symlink_to(trained_run.val)
    monkeypatch.chdir(tmp_path)
    radius = execute(READS)["radius"]
    q = Store.open(trained_run.val).load_class("image0006", "Radius").crop(0, (0, 64, 0, 64))
    assert np.array_equal(np.rint(radius * 255), q)
    assert q.any()


def test_the_program_that_writes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = execute(WRITES)
    done = hb("store", "verify", "mine")
    assert done.out == (
        "mine: 1 images read (1 without a SHA-256: their form alone), nothing is wrong\n"
    )
    store = Store.open(tmp_path / "mine")
    assert (store.class_names, store.image_ids) == (("Radius", "Ulna"), ["image1"])
    np.save("image1.npy", names["maps"])
    assert hb("store", "import", "image1.npy", "--like", "mine", "-o", "ours").code == 0
    ours, theirs = Store.open(tmp_path / "ours").load("image1"), store.load("image1")
    assert np.array_equal(ours.boxes, theirs.boxes)
    assert all(map(np.array_equal, ours.crops, theirs.crops))


def test_the_files_of_a_store_are_those_that_the_page_names(trained_run):
    assert "\n  manifest.json " in TEXT
    assert {path.name for path in trained_run.val.iterdir()} == {"manifest.json", "images"}
    entry = next(iter(Store.open(trained_run.val).manifest["images"].values()))
    rows = set(re.findall(r"`(\w+)`", TEXT.split("An entry has")[1].split("This writes")[0]))
    assert set(entry) <= rows
