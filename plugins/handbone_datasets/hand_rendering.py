"""Owns the radiograph of a drawn hand: attenuations are summed (Beer-Lambert), then developed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handbone_datasets import film
from handbone_datasets.bone_attenuation import bone_attenuation
from handbone_datasets.planes import resized
from handbone_datasets.soft_tissue import tissue_attenuation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from handbone_datasets.hand_shapes import Hand

RING_SHARE = 0.12
MARKER_SHARE = 0.75
SHARPENED_SHARE = 0.6


def render(hand: Hand, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Return a radiograph (size, size) of a hand, bones bright on dark (MONOCHROME2).

    Everything that differs between people and sites is drawn from `rng`: density, cortices, fat,
    collimation, markers, rings, scatter, blur, 2 to 12 % noise, window and gamma.
    """
    grid = min(hand.size, max(256, hand.size // 4))
    field = film.Field.draw(hand, rng)
    bones = bone_attenuation(hand, rng)
    flesh, tissue = tissue_attenuation(hand, rng, grid)
    broad = flesh + film.background(rng, grid)
    plane = bones + resized(broad, hand.size, hand.size)
    plane = film.scatter(plane, float(rng.uniform(0.0, 0.3)))
    if rng.random() < SHARPENED_SHARE:
        film.sharpen(plane, rng)
    if rng.random() < RING_SHARE:
        film.add_ring(plane, hand, rng)
    if rng.random() < MARKER_SHARE:
        film.add_marker(plane, hand, tissue, field, rng)
    grey = film.develop(plane, tissue, bones, rng)
    film.add_collimation(grey, field, rng)
    return grey
