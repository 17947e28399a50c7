"""Random changes of a patch: parameters drawn once from an isolated stream, then applied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from handbone_cli.data import geometry

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from handbone_cli.recipe.schema import Augment

GRID_NODES = 5
STREAM = 0xA06


def stream(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random stream of one place in one epoch; the same in every process and restart."""
    return np.random.default_rng((STREAM, seed, epoch, index))


@dataclass(frozen=True)
class PatchPlan:
    """One drawn patch.

    Attributes:
        matrix: (2, 3) from the patch to the image as the network sees it.
        displacement: (h, w, 2) float32 in patch pixels, or None.
        brightness: added, in the full grey range.
        contrast: factor about mid-grey.
        gamma: exponent.
        noise: SD of Gaussian noise in the full grey range.
        noise_seed: of that noise.
    """

    matrix: NDArray[np.float64]
    displacement: NDArray[np.float32] | None
    brightness: float
    contrast: float
    gamma: float
    noise: float
    noise_seed: int


def draw(
    rng: np.random.Generator, augment: Augment, image: tuple[int, int], patch: tuple[int, int]
) -> PatchPlan:
    """Draw a patch of (h, w) from an image of (h, w): place, geometry and photometrics.

    The place is uniform over the windows inside the image; a patch larger than the image is
    centred on it. Always draws the same number of values, so one setting does not move another's.
    """
    place = rng.random(2)
    shift, angle = rng.uniform(-1, 1, 2) * augment.shift, rng.uniform(-1, 1) * augment.rotate
    zoom = 1 + rng.uniform(-1, 1) * augment.scale
    flip = -1.0 if rng.random() < augment.hflip else 1.0
    photo = rng.uniform(-1, 1, 3)
    noise, noise_seed, field_seed = rng.random() * augment.noise, *rng.integers(0, 2**31, 2)
    room = np.maximum(np.subtract(image, patch), 0)
    corner = np.where(np.less(patch, image), place * room, np.subtract(image, patch) / 2)
    centre = corner + np.divide(patch, 2) + shift * image
    matrix = geometry.compose(
        geometry.translation(centre[1], centre[0]),
        geometry.rotation(angle),
        geometry.scaling(flip / zoom, 1 / zoom),
        geometry.translation(-patch[1] / 2, -patch[0] / 2),
    )
    return PatchPlan(
        matrix=matrix,
        displacement=draw_displacement(np.random.default_rng(int(field_seed)), augment, patch),
        brightness=float(photo[0]) * augment.brightness,
        contrast=1 + float(photo[1]) * augment.contrast,
        gamma=1 + float(photo[2]) * augment.gamma,
        noise=float(noise),
        noise_seed=int(noise_seed),
    )


def draw_displacement(
    rng: np.random.Generator, augment: Augment, patch: tuple[int, int]
) -> NDArray[np.float32] | None:
    """Elastic (smoothed noise) and grid distortion (moved nodes) as one field; None if both off."""
    if augment.elastic == 0 and augment.grid_distortion == 0:
        return None
    height, width = patch
    field = np.zeros((height, width, 2), np.float32)
    if augment.elastic > 0:
        coarse = rng.standard_normal((max(height // 32, 2), max(width // 32, 2), 2))
        field += cv2.resize(
            (coarse * augment.elastic).astype(np.float32),
            (width, height),
            interpolation=cv2.INTER_CUBIC,
        )
    if augment.grid_distortion > 0:
        nodes = rng.uniform(-1, 1, (GRID_NODES, GRID_NODES, 2)) * augment.grid_distortion
        nodes *= (width / (GRID_NODES - 1), height / (GRID_NODES - 1))
        field += cv2.resize(
            nodes.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
    return field


def apply_photometrics(grey: NDArray[np.uint8], plan: PatchPlan) -> NDArray[np.uint8]:
    """Gamma, contrast and brightness through one lookup table, then noise: (h, w) uint8."""
    if (plan.gamma, plan.contrast, plan.brightness) != (1.0, 1.0, 0.0):
        levels = (np.arange(256) / 255.0) ** plan.gamma
        levels = (levels - 0.5) * plan.contrast + 0.5 + plan.brightness
        table = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
        grey = np.asarray(cv2.LUT(grey, table), np.uint8)
    if plan.noise > 0:
        rng = np.random.default_rng(plan.noise_seed)
        noise = rng.standard_normal(grey.shape, np.float32) * np.float32(255 * plan.noise)
        grey = np.clip(np.rint(grey + noise), 0, 255).astype(np.uint8)
    return grey
