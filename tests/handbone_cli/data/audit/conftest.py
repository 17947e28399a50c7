"""Labelled hands and pictures of them, drawn from the shape model without a plugin."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from handbone_cli.anatomy.hand import HAND_BONES
from handbone_cli.anatomy.shape_model import ShapeModel
from handbone_cli.data.audit.labelled_image import LabelledImage

SIZE = (1024, 1024)
UNIT, CENTRE = 540.0, (512.0, 660.0)


def outlines_of(seed=0, bend=-1.15, side="right"):
    """Bone name -> outline (96, 2) in pixels, inside the image."""
    model = ShapeModel.load()
    b = 0.6 * np.random.default_rng(seed).standard_normal(20)
    b[0] = bend
    shape = model.mean + np.tensordot(b, model.displacements, axes=1)
    flip = np.array([-1.0 if side == "left" else 1.0, 1.0])
    pixels = np.clip(shape * flip * UNIT + np.array(CENTRE), 1, SIZE[0] - 2)
    return {
        name: outline.astype(np.float32) for name, outline in zip(HAND_BONES, pixels, strict=True)
    }


def picture_of(outlines):
    """Bones bright, borders brighter, on dark: (1024, 1024) uint8."""
    grey = np.full(SIZE, 40, np.float32)
    for outline in outlines.values():
        layer = np.zeros(SIZE, np.uint8)
        points = np.rint(outline).astype(np.int32)
        cv2.fillPoly(layer, [points], (60,))
        cv2.polylines(layer, [points], True, (90,), 3)
        grey += layer
    noise = np.random.default_rng(0).normal(0, 3, SIZE)
    return np.clip(cv2.GaussianBlur(grey, (0, 0), 1.0) + noise, 0, 255).astype(np.uint8)


def image_of(outlines, image_id="image1", person="ID001"):
    """A LabelledImage of outlines by name; a list stands for parts."""
    parts = {
        HAND_BONES.index(name): outline if isinstance(outline, list) else [outline]
        for name, outline in outlines.items()
    }
    return LabelledImage(image_id, person, SIZE, HAND_BONES, parts)


@pytest.fixture
def hands():
    """The three functions above, as one namespace."""
    from types import SimpleNamespace

    return SimpleNamespace(outlines=outlines_of, picture=picture_of, image=image_of)
