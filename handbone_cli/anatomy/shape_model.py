"""The point distribution model of a hand's 29 outlines, measured on 288 real hands.

Where the figures come from: `hand_shapes.npz` holds a point distribution model (Cootes et al.,
"Active shape models", CVIU 1995) measured on 288 real hands, from the majority of five published
models' masks. Figures only: no image and no single person's outline is in it. The mean outlines
and the twenty displacement fields of one standard deviation (mode times its SD) were rounded to
`step` (0.05 px at 2048) and stored as int16; the means and SDs of the unit and of the origin, the
areas, lengths, widths and overlaps beside them are those of the same 288 hands.

Frame of the model: origin = centroid of the Capitate, +y towards the wrist, one unit = the
distance from there to the centroid of finger-8, the thumb at negative x (a right hand seen from
its back, as it lies on the cassette).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ShapeModel:
    """Outlines = mean + sum(b_k displacements_k), b_k ~ N(0, 1).

    Attributes:
        mean: (29, 48, 2) float32 in units; points run clockwise from the most distal one, evenly
            by arc length; bones in the order of `HAND_BONES`.
        displacements: (20, 29, 48, 2) float32 in units, one SD of each mode.
        unit_px: mean and SD of one unit in pixels, in an image of `image_px`.
        origin_px: (2, 2) mean and SD of the origin (x, y) there.
        image_px: side of the square images that were measured.
        area_px: (29,) mean areas in pixels there.
        overlaps: mean IoU of the pairs of bones (a < b) that overlap.
    """

    mean: NDArray[np.float32]
    displacements: NDArray[np.float32]
    unit_px: tuple[float, float]
    origin_px: NDArray[np.float32]
    image_px: int
    area_px: NDArray[np.float64]
    overlaps: dict[tuple[int, int], float]

    @classmethod
    def load(cls) -> ShapeModel:
        """Read the model that ships beside this module; read once in a process."""
        return _load()


@lru_cache(maxsize=1)
def _load() -> ShapeModel:
    with np.load(Path(__file__).with_name("hand_shapes.npz"), allow_pickle=False) as figures:
        step = float(figures["step"])
        pairs = zip(figures["overlap_pairs"].tolist(), figures["overlap_iou"].tolist(), strict=True)
        return ShapeModel(
            mean=figures["mean"].astype(np.float32) * np.float32(step),
            displacements=figures["displacements"].astype(np.float32) * np.float32(step),
            unit_px=(float(figures["unit_px"][0]), float(figures["unit_px"][1])),
            origin_px=figures["origin_px"],
            image_px=int(figures["image_px"]),
            area_px=figures["area_px_mean"].astype(np.float64),
            overlaps={(min(pair), max(pair)): iou for pair, iou in pairs},
        )
