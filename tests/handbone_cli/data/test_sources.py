from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.data.sources import (
    dataset_split,
    from_files,
    open_dataset,
    training_and_validation,
)
from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe
from handbone_cli.testing.tiny import write_png


@pytest.fixture
def films(tmp_path):
    for name in ("a.png", "b.jpg", "deep/a.png", "deep/c.PNG"):
        write_png(tmp_path / "films" / name.replace("PNG", "png"), np.zeros((4, 4), np.uint8))
    (tmp_path / "films" / "deep" / "c.png").rename(tmp_path / "films" / "deep" / "c.PNG")
    (tmp_path / "films" / "notes.txt").write_text("no image")
    return tmp_path / "films"


def names(pattern):
    return [sample.image_id for sample in from_files(str(pattern))]


def test_a_folder_a_glob_and_a_file(films):
    assert names(films) == ["a", "b", "deep__a", "c"]
    assert names(films / "*.png") == ["a"]
    assert names(films / "**" / "*.png") == ["films__a", "deep__a"]
    assert names(films / "b.jpg") == ["b"]
    sample = from_files(str(films / "b.jpg"))[0]
    assert (sample.person, sample.path, sample.read_labels) == ("b", films / "b.jpg", None)
    assert sample.read_image().shape == (4, 4)


def test_two_of_one_name(films):
    write_png(films / "a.jpg", np.zeros((4, 4), np.uint8))
    with pytest.raises(HandboneError, match="two images are named 'a' but for their suffix"):
        from_files(str(films))


@pytest.mark.parametrize(
    ("name", "words"),
    [("empty", "no PNG or JPEG image in this folder"), ("none*.png", "no such file, folder or")],
)
def test_nothing_there(tmp_path, name, words):
    (tmp_path / "empty").mkdir()
    with pytest.raises(HandboneError, match=words) as caught:
        from_files(str(tmp_path / name))
    assert str(tmp_path / name) in str(caught.value)


def opened(tiny_data, *overrides):
    recipe = load_recipe(str(tiny_data.recipe), installed(), overrides)
    return recipe, open_dataset(recipe, installed())


def test_the_parts_of_a_dataset(tiny_data):
    recipe, dataset = opened(tiny_data)
    training, validation = training_and_validation(dataset, recipe)
    assert (len(training), len(validation)) == (8, 4)
    for name, samples in (("train", training), ("val", validation)):
        asked = dataset_split(recipe, installed(), name)
        assert [s.image_id for s in asked] == [s.image_id for s in samples]
    tests = dataset_split(recipe, installed(), "test")
    assert [s.image_id for s in tests] == ["image0012", "image0013"]


def test_excluded_images(tiny_data):
    recipe, dataset = opened(tiny_data, "data.exclude=['image0003']")
    kept = [s.image_id for part in training_and_validation(dataset, recipe) for s in part]
    assert len(kept) == 11
    assert "image0003" not in kept
    recipe, dataset = opened(tiny_data, "data.exclude=['image9999']")
    with pytest.raises(HandboneError, match="no labelled image 'image9999' to exclude"):
        training_and_validation(dataset, recipe)


def test_a_dataset_without_test_images_or_labels(tmp_path, tiny_data):
    write_png(tmp_path / "train/DCM/ID001/a.png", np.zeros((4, 4), np.uint8))
    recipe, _ = opened(tiny_data, f"data.root={tmp_path}")
    with pytest.raises(HandboneError, match="the dataset has no 'test' images"):
        dataset_split(recipe, installed(), "test")
    with pytest.raises(HandboneError, match="there is no labelled image to train on"):
        dataset_split(recipe, installed(), "val")
