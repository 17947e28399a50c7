"""The figures of the shape model: their frame, their form, and that they are read once."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handbone_cli.anatomy import shape_model
from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.anatomy.shape_model import ShapeModel

FIGURES = Path(shape_model.__file__).with_name("hand_shapes.npz")


def test_the_figures_need_no_pickle_and_little_room():
    assert FIGURES.stat().st_size < 150_000
    with np.load(FIGURES, allow_pickle=False) as figures:
        assert tuple(figures["class_names"]) == HAND_BONES


def test_the_model_is_read_once_and_in_its_frame():
    model = ShapeModel.load()
    assert ShapeModel.load() is model
    assert model.mean.shape == (29, 48, 2)
    assert model.displacements.shape == (20, 29, 48, 2)
    centres = dict(zip(HAND_BONES, model.mean.mean(axis=1), strict=True))
    np.testing.assert_allclose(centres["Capitate"], 0, atol=0.02)
    np.testing.assert_allclose(centres["finger-8"], (0, -1), atol=0.02)
    assert centres["finger-1"][0] < 0 < centres["Radius"][1]


def test_modes_are_given_as_displacements_of_one_sd_the_largest_first():
    power = np.square(ShapeModel.load().displacements).sum(axis=(1, 2, 3))
    assert (np.diff(power) < 0).all()


def test_areas_and_overlaps_are_those_of_the_288_hands():
    model = ShapeModel.load()
    assert model.area_px[HAND_BONES.index("finger-16")] == 4116
    pair = HAND_BONES.index("Triquetrum"), HAND_BONES.index("Pisiform")
    assert abs(model.overlaps[pair] - 0.4037) < 1e-4
    assert all(one < other for one, other in model.overlaps)
