from __future__ import annotations

import errno

import numpy as np
import pytest

from handbone_cli.decision import tabulation
from handbone_cli.decision.tabulation import ImageFile, Tabulation, count_images, jobs_of
from handbone_cli.errors import HandboneError
from handbone_cli.files import explain
from handbone_cli.masks import PackedMask

SIZE, IMAGES = (20, 24), ["a", "b", "c", "d", "e"]


def planes(seed):
    return np.random.default_rng(seed).integers(0, 255, (3, *SIZE)).astype(np.uint8)


@pytest.fixture
def stores(make_store):
    return [make_store(name, {i: planes((place, ord(i))) for i in IMAGES})
            for place, name in enumerate(("x", "y"))]  # fmt: skip


@pytest.fixture
def labels(make_labels):
    return make_labels({name: PackedMask.from_dense(planes(ord(name)) > 128) for name in IMAGES})


def count(stores, labels, folder, limits=(0.3, 0.6), images=IMAGES):
    told = []
    work = Tabulation(labels, limits, folder)
    jobs = jobs_of(stores, images)
    files = count_images(jobs, work, map, lambda *numbers: told.append(numbers))
    assert told[-1] == (len(images), len(images))
    return files


def test_what_is_kept_is_not_counted_again(stores, labels, tmp_path, monkeypatch):
    files = count(stores, labels, tmp_path / "cache")
    assert len({*files}) == len(files) == len(IMAGES)
    counted = []
    real = tabulation.tabulate
    monkeypatch.setattr(
        tabulation, "tabulate", lambda *given: counted.append(given) or real(*given)
    )
    assert count(stores, labels, tmp_path / "cache") == files
    assert counted == []
    files[2].unlink()
    assert count(stores, labels, tmp_path / "cache") == files
    assert len(counted) == 3, "the classes of one image"


def test_a_file_is_named_by_all_that_it_depends_on(
    stores, labels, make_labels, make_store, tmp_path
):
    before = count(stores, labels, tmp_path)
    assert not {*before} & {*count(stores[::-1], labels, tmp_path)}
    assert not {*before} & {*count(stores, labels, tmp_path, (0.3, 0.7))}
    assert count(stores, labels, tmp_path, images=IMAGES[::-1]) == before[::-1]
    other = dict(labels.masks)
    dense = other["b"].dense()
    dense[1, 4, 5] ^= True
    other["b"] = PackedMask.from_dense(dense)
    changed = count(stores, make_labels(other), tmp_path)
    assert [a == b for a, b in zip(before, changed, strict=True)] == [1, 0, 1, 1, 1]
    again = make_store("z", {i: planes((1, ord(i))) if i != "e" else planes(7) for i in IMAGES})
    moved = count([stores[0], again], labels, tmp_path)
    assert [a == b for a, b in zip(before, moved, strict=True)] == [1, 1, 1, 1, 0]


def test_a_mask_that_lies_elsewhere_has_another_name(make_labels, stores, tmp_path):
    dense = np.zeros((3, *SIZE), bool)
    dense[0, 3:6, 4:9] = True
    first = count(stores, make_labels({"a": PackedMask.from_dense(dense)}), tmp_path, images=["a"])
    lower = PackedMask.from_dense(np.roll(dense, 1, axis=1))
    assert count(stores, make_labels({"a": lower}), tmp_path, images=["a"]) != first


def test_a_store_without_digests_is_named_by_its_bytes(stores, labels, tmp_path):
    before = count(stores, labels, tmp_path)
    jobs = [
        tabulation.ImageJob(j.image_id, j.size, tuple((p, "") for p, _ in j.parts))
        for j in jobs_of(stores, IMAGES)
    ]
    assert Tabulation(labels, (0.3, 0.6), tmp_path)(jobs) == before


@pytest.mark.parametrize("kept", [0, 100, -1])
def test_a_torn_file_is_named(stores, labels, tmp_path, kept):
    path = count(stores, labels, tmp_path)[0]
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(HandboneError) as caught:
        ImageFile.open(path).rows(2)
    assert str(caught.value).startswith(f"{path}: not readable statistics (")
    assert str(caught.value).endswith("; delete that file and run it again.")


def test_a_full_disk_is_said(stores, labels, tmp_path, monkeypatch):
    def full(path, content):
        raise explain(OSError(errno.ENOSPC, "full"), path, "write it")

    monkeypatch.setattr(tabulation, "write_bytes", full)
    with pytest.raises(HandboneError, match="the disk is full; free some space"):
        count(stores, labels, tmp_path)


def test_shared_pixels_are_counted(stores, labels, tmp_path):
    image = ImageFile.open(count(stores, labels, tmp_path)[1])
    dense = labels.masks["b"].dense()
    assert image.shared[0, 2] == (dense[0] & dense[2]).sum()
    assert image.constants[:, 2].tolist() == dense.sum(axis=(1, 2)).tolist()


def test_labels_of_another_size_are_refused(stores, tmp_path):
    class Wrong:
        def mask(self, image_id, size):
            return PackedMask.empty((size[0] + 1, size[1]), 3)

    with pytest.raises(HandboneError) as caught:
        count(stores, Wrong(), tmp_path)
    assert str(caught.value) == "a: the stores are (20, 24), the labels (21, 24) px."
