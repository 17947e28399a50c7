"""`hb trust`: films and bones to look at, with and without the truth."""

from __future__ import annotations

import csv
import json
import re

import cv2
import numpy as np
import pytest

from handbone_cli import HAND_BONES, DatasetContext, PackedMask
from handbone_cli.testing import hb
from handbone_datasets import competition

SIZE = 300


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Six labelled hands: `good` is nearly right; of `bad` the first is unsure, the last empty."""
    folder = tmp_path_factory.mktemp("trust")
    data = folder / "data"
    made = hb("data", "generate", "-o", data, "--people", "3", "--test-people", "0",
              "--size", str(SIZE))  # fmt: skip
    assert made.code == 0, made.err
    samples = competition.build(competition.CompetitionOptions(), DatasetContext(data))
    for name in ("good", "bad"):
        (folder / f"{name}_maps").mkdir()
        for place, sample in enumerate(samples.samples("train")):
            planes = PackedMask.from_polygons(sample.read_labels(), (SIZE, SIZE), 29).dense()
            blur = 2.5 if name == "bad" and place == 0 else 0.3
            shares = np.stack(
                [cv2.GaussianBlur(p.astype(np.float32), (0, 0), blur) for p in planes]
            )
            if name == "bad" and place == 5:
                shares[:] = 0
            np.savez(folder / f"{name}_maps" / f"{sample.image_id}.npz", p=shares)
        done = hb("store", "import", folder / f"{name}_maps", "-o", folder / name,
                  "--labels", data)  # fmt: skip
        assert done.code == 0, done.err
    return folder


def test_the_films_to_look_at_come_first(stores):
    done = hb("trust", stores / "bad")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].split() == ["score", "Dice", "film", "hands", "look", "at"]
    assert "no hand to be made out" in lines[1]
    assert "image000005" in lines[1]
    assert "image000000" in lines[2]
    counts = re.search(r"6 films: (\d) with no hand to be made out, (\d) more", done.out)
    assert counts is not None
    assert int(counts[1]) + int(counts[2]) == 2
    assert "100% kept: mean Dice" in done.out
    assert "Spearman" in done.out


def test_a_good_store_has_nothing_to_look_at(stores):
    done = hb("trust", stores / "good", "--below", "0.6")
    assert done.code == 0, done.err
    assert done.out.startswith("6 films: 0 with no hand to be made out, 0 more below 0.6, 6 above")


def test_files_and_json_say_the_same(stores, tmp_path):
    table, picture = tmp_path / "trust.csv", tmp_path / "kept.svg"
    done = hb("trust", stores / "bad", "--csv", table, "--picture", picture, "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["image_id"] for row in rows] == [film["image_id"] for film in told["films"]]
    assert [row["image_id"] for row in rows][:2] == ["image000005", "image000000"]
    assert set(HAND_BONES) <= set(rows[0])
    for row, film in zip(rows, told["films"], strict=True):
        assert float(row["score"]) == pytest.approx(film["score"], abs=1e-4)
        assert [row[name] or None for name in HAND_BONES] == [
            None if score is None else f"{score:.4f}" for score in film["bones"].values()
        ]
    assert told["films"][0]["refused"]
    assert told["kept"]["films"] == 6
    assert told["kept"]["dice"]["0.5"] > told["kept"]["dice"]["1"]
    assert picture.read_text().startswith("<!-- Dice against share kept by handbone")
    again = hb("trust", stores / "bad", "--csv", table, "--picture", picture)
    assert again.code == 0, again.err


def test_another_prediction_has_a_say(stores):
    alone = json.loads(hb("trust", stores / "good", "--json").out)
    beside = hb("trust", stores / "good", "--against", stores / "bad", "--json")
    assert beside.code == 0, beside.err
    by_name = [{f["image_id"]: f["score"] for f in told["films"]}
               for told in (alone, json.loads(beside.out))]  # fmt: skip
    assert by_name[1]["image000005"] < by_name[0]["image000005"]


def wrong(stores, *words):
    done = hb("trust", *words)
    assert done.code == 1, done.out
    return done.err


def test_mistakes_are_sentences(stores, tmp_path):
    good = stores / "good"
    assert "agrees with itself" in wrong(stores, good, "--against", good)
    assert "is an .svg" in wrong(stores, good, "--picture", tmp_path / "a.png")
    assert "nowhere" in wrong(stores, stores / "nowhere")
    own = tmp_path / "own.csv"
    own.write_text("my own notes\n")
    assert "own.csv" in wrong(stores, good, "--csv", own)
    assert own.read_text() == "my own notes\n"
    few = tmp_path / "few"
    (tmp_path / "maps").mkdir()
    np.savez(tmp_path / "maps" / "image000000.npz", p=np.zeros((29, SIZE, SIZE), np.float32))
    done = hb("store", "import", tmp_path / "maps", "-o", few, "--classes", ",".join(HAND_BONES))
    assert done.code == 0, done.err
    said = wrong(stores, good, "--against", few)
    assert "image 'image000001' is not there, nor are 4 others" in said
    assert "without them there is no Dice to draw" in wrong(
        stores, few, "--picture", tmp_path / "a.svg"
    )
