"""The one geometric resampling: an affine matrix or a dense map, for image and labels alike.

Coordinates are continuous with pixel centres at +0.5. A matrix (2, 3) float64 leads from the
output to the source.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from handbone_cli.masks import Box


def compose(*matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """One (2, 3) matrix for several, the first applied last."""
    result: NDArray[np.float64] = np.eye(3)
    for matrix in matrices:
        result = result @ np.vstack([matrix, (0.0, 0.0, 1.0)])
    return result[:2].astype(np.float64)


def translation(x: float, y: float) -> NDArray[np.float64]:
    """Shift by (x, y)."""
    return np.array([[1, 0, x], [0, 1, y]], np.float64)


def scaling(x: float, y: float) -> NDArray[np.float64]:
    """Stretch about the origin."""
    return np.array([[x, 0, 0], [0, y, 0]], np.float64)


def rotation(degrees: float) -> NDArray[np.float64]:
    """Turn about the origin."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0]], np.float64)


def between(output: Sequence[float], source: Sequence[float]) -> NDArray[np.float64]:
    """From an image of (h, w) to the same image of another (h, w), edge to edge."""
    return scaling(source[1] / output[1], source[0] / output[0])


def on_pixel_centres(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """The matrix on pixel indices, as cv2 counts: t + A (.5, .5) - .5."""
    indexed: NDArray[np.float64] = matrix.copy()
    indexed[:, 2] += matrix[:, :2] @ (0.5, 0.5) - 0.5
    return indexed


def source_rectangle(
    matrix: NDArray[np.float64], size: tuple[int, int], limits: tuple[int, int], margin: float = 2.0
) -> Box:
    """The rectangle of the source (h, w) that an output of (h, w) needs; never empty."""
    corners = np.array([(0, 0, 1), (size[1], 0, 1), (0, size[0], 1), (size[1], size[0], 1)])
    x, y = matrix @ corners.T.astype(np.float64)
    y0 = int(np.clip(np.floor(y.min() - margin), 0, limits[0] - 1))
    x0 = int(np.clip(np.floor(x.min() - margin), 0, limits[1] - 1))
    y1 = int(np.clip(np.ceil(y.max() + margin), y0 + 1, limits[0]))
    x1 = int(np.clip(np.ceil(x.max() + margin), x0 + 1, limits[1]))
    return y0, y1, x0, x1


def warp(
    image: NDArray[np.uint8],
    matrix: NDArray[np.float64],
    size: tuple[int, int],
    displacement: NDArray[np.float32] | None = None,
    *,
    nearest: bool = False,
) -> NDArray[np.uint8]:
    """Resample (H, W) or (H, W, P) uint8 to `size` (h, w); black outside the source.

    Args:
        image: the source; up to 4 channels.
        matrix: output -> source, continuous coordinates.
        size: (h, w) of the output.
        displacement: (h, w, 2) float32 x, y added in the output before the matrix, in its pixels.
        nearest: for labels; bilinear otherwise.
    """
    flag = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    indexed = on_pixel_centres(matrix)
    if displacement is None:
        flags = flag | cv2.WARP_INVERSE_MAP
        warped = cv2.warpAffine(image, indexed, (size[1], size[0]), flags=flags)
    else:
        maps = dense_map(indexed, size, displacement)
        warped = cv2.remap(image, maps[0], maps[1], flag)
    return np.asarray(warped, np.uint8).reshape((*size, *image.shape[2:]))


def dense_map(
    indexed: NDArray[np.float64], size: tuple[int, int], displacement: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The affine matrix and a displacement as one float32 map of pixel indices: x and y."""
    x, y = np.meshgrid(np.arange(size[1], dtype=np.float32), np.arange(size[0], dtype=np.float32))
    x, y = x + displacement[..., 0], y + displacement[..., 1]
    a = indexed.astype(np.float32)
    return a[0, 0] * x + a[0, 1] * y + a[0, 2], a[1, 0] * x + a[1, 1] * y + a[1, 2]
