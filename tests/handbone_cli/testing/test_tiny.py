from __future__ import annotations

import numpy as np

from handbone_cli.host.registry import installed
from handbone_cli.masks import PackedMask
from handbone_cli.recipe.load import load_recipe
from handbone_cli.testing import BONES, tiny_recipe
from handbone_cli.testing.tiny import draw_tiny_hand


def test_hands_repeat_and_differ_and_two_bones_overlap():
    image, outlines = draw_tiny_hand(0, 0, 64, 4)
    assert np.array_equal(image, draw_tiny_hand(0, 0, 64, 4)[0])
    assert not np.array_equal(image, draw_tiny_hand(0, 1, 64, 4)[0])
    polygons = {bone: [points.astype(np.float32)] for bone, points in enumerate(outlines)}
    radius, ulna = PackedMask.from_polygons(polygons, (64, 64), 4).dense()[2:]
    assert (radius & ulna).sum() > 10


def test_29_bones_fit():
    _, outlines = draw_tiny_hand(0, 0, 64, 29)
    polygons = {bone: [points.astype(np.float32)] for bone, points in enumerate(outlines)}
    assert (PackedMask.from_polygons(polygons, (64, 64), 29).areas() > 10).all()


def test_overrides(tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(tiny_recipe(tmp_path, train={"epochs": 9}, model={"name": "unet"}, seed=8))
    recipe = load_recipe(str(path), installed())
    assert (recipe.train.epochs, recipe.train.batch_size, recipe.seed) == (9, 4, 8)
    assert (recipe.model.name, recipe.model.options) == ("unet", {})
    assert recipe.data.dataset_options == {"class_names": list(BONES)}
