"""Hands from the shape model itself, no plugin needed."""

from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.anatomy.shape_model import ShapeModel


@pytest.fixture
def draw():
    """draw(seed, bend, side, unit, centre) -> {bone: outline (48, 2)} in pixels."""

    def hand(seed=0, bend=-1.15, side="right", unit=540.0, centre=(500.0, 660.0)):
        model = ShapeModel.load()
        b = 0.7 * np.random.default_rng(seed).standard_normal(20)
        b[0] = bend
        shape = model.mean + np.tensordot(b, model.displacements, axes=1)
        flip = np.array([-1.0 if side == "left" else 1.0, 1.0])
        return dict(enumerate(shape * flip * unit + np.array(centre)))

    return hand
