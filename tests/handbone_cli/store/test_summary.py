from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.store.lock import writer_of
from handbone_cli.store.store import ImageEntry, Store, StoreWriter, image_file
from handbone_cli.store.summary import summarise


def test_the_facts_of_a_store(tmp_path):
    path, names = tmp_path / "store", ("Radius", "Ulna")
    writer = StoreWriter(path, names, {"model": "x"}, list("abcd"), {"dataset": "generated"})
    sizes = {"a": (20, 30), "b": (20, 30), "c": (10, 10)}
    for image_id, (height, width) in sizes.items():
        plane, box = np.full((height, width), 99, np.uint8), (0, height, 0, width)
        boxed = BoxedProbabilities.from_planes(2, (height, width), lambda _, p=plane, b=box: (p, b))
        person = "ID2" if image_id == "c" else "ID1"
        imported = "f" if image_id == "a" else ""
        entry = ImageEntry(person, height, width, None, "aa", person == "ID2", imported)
        writer.write(image_id, boxed, entry)
    image_file(path, "c").unlink()
    facts = summarise(Store.open(path))
    assert facts.pop("writer") == writer_of(path) is not None
    writer.close()
    disk = sum(image_file(path, image_id).stat().st_size for image_id in "ab")
    assert facts == {
        "store": str(path), "images": 3, "images_asked_for": 4, "files_missing": 1, "people": 2,
        "seen": pytest.approx(1 / 3), "imported": 1, "class_names": ["Radius", "Ulna"],
        "sizes": [{"size": [20, 30], "images": 2}, {"size": [10, 10], "images": 1}],
        "settings": {"model": "x"}, "labels": {"dataset": "generated"},
        "bytes": disk, "bytes_an_image": disk // 3,
        "against_float16": pytest.approx(2 * 1300 * 2 / disk),
        "against_float32": pytest.approx(4 * 1300 * 2 / disk),
        "digest": Store.open(path).digest(),
    }  # fmt: skip


def test_an_empty_store_divides_by_nothing(tmp_path):
    StoreWriter(tmp_path / "store", ("Radius",), {}, ["a"], None)
    facts = summarise(Store.open(tmp_path / "store"))
    assert (facts["images"], facts["bytes_an_image"], facts["against_float16"]) == (0, 0, 0.0)
