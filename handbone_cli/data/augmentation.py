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
ASPECT = np.log(4 / 3)
"""A random resized crop is 3 : 4 to 4 : 3, as Inception's was (Szegedy et al., 2015)."""


def stream(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random stream of one place in one epoch; the same in every process and restart."""
    return np.random.default_rng((STREAM, seed, epoch, index))


@dataclass(frozen=True)
class PatchPlan:
    """One drawn patch.

    Attributes:
        matrix: (2, 3) from the patch to the image as the network sees it.
        displacement: (h, w, 2) float32 in patch pixels, or None.
        flipped: whether left and right are exchanged.
        blur: SD of a Gaussian, px of the patch.
        brightness: added, in the full grey range.
        contrast: factor about mid-grey.
        gamma: exponent.
        noise: SD of Gaussian noise in the full grey range.
        noise_seed: of that noise.
    """

    matrix: NDArray[np.float64]
    displacement: NDArray[np.float32] | None
    flipped: bool
    blur: float
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
    flipped = bool(rng.random() < augment.hflip)
    photo = rng.uniform(-1, 1, 3)
    noise, noise_seed, field_seed = rng.random() * augment.noise, *rng.integers(0, 2**31, 2)
    blur, area, aspect = rng.random() * augment.blur, rng.random(), rng.uniform(-1, 1)
    window = crop_size(augment.random_resized_crop, area, aspect, image) or patch
    room = np.maximum(np.subtract(image, window), 0)
    corner = np.where(np.less(window, image), place * room, np.subtract(image, window) / 2)
    centre = corner + np.divide(window, 2) + shift * image
    matrix = geometry.compose(
        geometry.translation(centre[1], centre[0]),
        geometry.rotation(angle),
        geometry.scaling((-1.0 if flipped else 1.0) / zoom, 1 / zoom),
        geometry.between(patch, window),
        geometry.translation(-patch[1] / 2, -patch[0] / 2),
    )
    return PatchPlan(
        matrix=matrix,
        displacement=draw_displacement(np.random.default_rng(int(field_seed)), augment, patch),
        flipped=flipped,
        blur=float(blur),
        brightness=float(photo[0]) * augment.brightness,
        contrast=1 + float(photo[1]) * augment.contrast,
        gamma=1 + float(photo[2]) * augment.gamma,
        noise=float(noise),
        noise_seed=int(noise_seed),
    )


def crop_size(
    least: float, area: float, aspect: float, image: tuple[int, int]
) -> tuple[float, float] | None:
    """(h, w) of a random resized crop inside an image of (h, w), or None where it is off.

    Args:
        least: the least share of the image's area; 0 switches it off.
        area: from 0 (the least share) to 1 (all).
        aspect: from -1 (tall) to 1 (wide), even in the logarithm.
        image: (h, w).
    """
    if least == 0:
        return None
    side = np.sqrt((least + area * (1 - least)) * image[0] * image[1])
    stretch = np.exp(aspect * ASPECT / 2)
    return min(float(side / stretch), image[0]), min(float(side * stretch), image[1])


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


def blur_window(sigma: float) -> int:
    """The odd window of a Gaussian blur, three SDs to each side: the same in cv2 and in DALI."""
    return 2 * int(np.ceil(3 * sigma)) + 1


def draw_noise(plan: PatchPlan, size: tuple[int, int]) -> NDArray[np.int16] | None:
    """The noise of a patch as grey levels (h, w), or None; whole levels, since grey is."""
    if plan.noise <= 0:
        return None
    field = np.random.default_rng(plan.noise_seed).standard_normal(size, np.float32)
    return np.asarray(np.rint(field * np.float32(255 * plan.noise)), np.int16)


def apply_photometrics(grey: NDArray[np.uint8], plan: PatchPlan) -> NDArray[np.uint8]:
    """Blur, then gamma, contrast and brightness through one table, then noise; all channels alike.

    Args:
        grey: (h, w) or (h, w, c).
        plan: what was drawn.
    """
    if plan.blur > 0:
        side = blur_window(plan.blur)
        grey = np.asarray(cv2.GaussianBlur(grey, (side, side), plan.blur), np.uint8)
    if (plan.gamma, plan.contrast, plan.brightness) != (1.0, 1.0, 0.0):
        levels = (np.arange(256) / 255.0) ** plan.gamma
        levels = (levels - 0.5) * plan.contrast + 0.5 + plan.brightness
        table = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
        grey = np.asarray(cv2.LUT(grey, table), np.uint8)
    noise = draw_noise(plan, (grey.shape[0], grey.shape[1]))
    if noise is not None:
        noise = noise if grey.ndim == 2 else noise[..., None]
        grey = np.clip(grey.astype(np.int16) + noise, 0, 255).astype(np.uint8)
    return grey
