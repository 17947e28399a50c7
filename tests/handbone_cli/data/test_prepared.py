from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data import prepared as module
from handbone_cli.data.cache import ArrayCache
from handbone_cli.data.images import read_grey
from handbone_cli.data.prepared import PreparedImages
from handbone_cli.data.preprocessing import Preprocessing
from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import Sample
from handbone_cli.host.registry import installed
from handbone_cli.masks import PackedMask, as_polygons
from handbone_cli.recipe.schema import Data, Recipe
from handbone_cli.testing.tiny import draw_tiny_hand, write_png


class Film:
    """A sample that counts how often it is read."""

    def __init__(self, folder, person=0, as_mask=False, key=None):
        self.reads = []
        image, outlines = draw_tiny_hand(person, 0, 64, 9)
        self.path = folder / f"image{person}.png"
        self.labels_path = folder / f"image{person}.json"
        write_png(self.path, image)
        self.labels_path.write_text("outlines")
        self.outlines = {i: [outline.astype(np.float32)] for i, outline in enumerate(outlines)}
        self.mask = PackedMask.from_polygons(self.outlines, (64, 64), 9)
        self.as_mask = as_mask
        paths = {"path": self.path, "labels_path": self.labels_path} if key is None else {}
        self.sample = Sample(
            self.path.stem, self.path.stem, self.read, self.read_labels, key=key, **paths
        )

    def read(self):
        self.reads.append("image")
        return read_grey(self.path)

    def read_labels(self):
        self.reads.append("labels")
        return self.mask if self.as_mask else self.outlines


def images(folder=None, cache_mb=0, notes=None, digest="d", **data):
    setting = Data(**{"clahe": {"clip_limit": 2.0, "tiles": 2}, **data})
    said = [] if notes is None else notes
    return PreparedImages(
        Preprocessing(setting, digest=digest),
        folder=folder, cache_mb=cache_mb, note=said.append,
    )  # fmt: skip


@pytest.mark.parametrize("as_mask", [False, True])
@pytest.mark.parametrize("key", [None, "drawn-0"])
def test_the_second_run_reads_nothing(tmp_path, as_mask, key):
    film = Film(tmp_path, as_mask=as_mask, key=key)
    image, labels = images(tmp_path / "cache").load(film.sample)
    assert film.reads == ["image", "labels"]
    again, same = images(tmp_path / "cache").load(film.sample)
    assert film.reads == ["image", "labels"]
    assert again.frame == image.frame
    assert np.array_equal(again.grey, image.grey)
    assert isinstance(same, PackedMask) == as_mask
    for found in (labels, same):
        assert np.array_equal(PackedMask.from_labels(found, (64, 64), 9).planes, film.mask.planes)
    kept = [outline for found in as_polygons(same).values() for outline in found]
    assert kept[0].dtype == np.float32


def test_without_a_cache_ram_holds_what_it_may(tmp_path):
    film = Film(tmp_path)
    small, large = images(cache_mb=0), images(cache_mb=1)
    other = Film(tmp_path, 1)
    for each in (small, large):
        for sample in (film.sample, other.sample, film.sample):
            each.load(sample)
    assert film.reads == ["image", "labels"] * 3
    assert other.reads == ["image", "labels"] * 2


def test_a_changed_file_or_setting_is_prepared_anew(tmp_path):
    film = Film(tmp_path)
    first = images(tmp_path / "cache").load(film.sample)[0]
    images(tmp_path / "cache", digest="other").load(film.sample)
    assert film.reads == ["image", "labels", "image"]
    write_png(film.path, read_grey(film.path)[::-1])
    turned = images(tmp_path / "cache").load(film.sample)[0]
    assert film.reads == ["image", "labels", "image", "image"]
    assert not np.array_equal(turned.grey, first.grey)
    film.labels_path.write_text("other outlines")
    images(tmp_path / "cache").load(film.sample)
    assert film.reads[4:] == ["labels"]


def test_what_may_differ_from_call_to_call_is_not_kept(tmp_path):
    film = Film(tmp_path)
    endless = Sample("a", "a", film.read, film.read_labels)
    for _ in range(2):
        images(tmp_path / "cache").load(endless)
    assert film.reads == ["image", "labels"] * 2
    assert not images(tmp_path / "cache").is_kept(endless)


def test_a_cache_that_cannot_be_written_costs_a_note_alone(tmp_path, monkeypatch):
    def full(*_):
        raise HandboneError("cache: cannot write it: the disk is full.")

    monkeypatch.setattr(ArrayCache, "put", full)
    notes = []
    film = Film(tmp_path)
    each = images(tmp_path / "cache", notes=notes)
    for _ in range(2):
        assert each.load(film.sample)[0].grey.shape == (64, 64)
    assert notes == ["prepared images are not kept: cache: cannot write it: the disk is full."]


def test_a_frame_needs_the_header_alone(tmp_path):
    film = Film(tmp_path)
    frame = images(resize=32).frame(film.sample)
    assert film.reads == []
    assert frame == images(resize=32).image(film.sample).frame
    film.reads.clear()
    own = images(normalize="zscore")
    assert own.frame(film.sample) == own.frame(film.sample)
    assert film.reads == ["image"]


def test_faults_are_found_without_decoding(tmp_path):
    film = Film(tmp_path)
    each = images(tmp_path / "cache")
    assert each.fault(film.sample) is None
    film.path.write_bytes(b"")
    assert images().fault(film.sample) == f"{film.path}: the file is empty."
    film.path.unlink()
    assert "cannot read it" in images().fault(film.sample)
    assert images().fault(Sample("drawn", "a", film.read)) is None
    assert film.reads == []


def test_a_recipe_decides_what_is_kept_where(tmp_path, monkeypatch):
    film = Film(tmp_path)
    monkeypatch.setattr(
        module, "cache_folder", lambda chosen: tmp_path / "cache" if chosen else None
    )

    def of(**data):
        recipe = {"name": "r", "model": {"name": "m"}, "loss": {"name": "l"}, "data": data}
        return PreparedImages.of(Recipe.model_validate(recipe), installed())

    of(cache=False).load(film.sample)
    of().load(film.sample)
    of(patch=64).load(film.sample)
    assert film.reads == ["image", "labels"] * 2
    of(class_names=("a", "b")).load(film.sample)
    assert film.reads[4:] == ["labels"]
