"""How far pixels are from a bone's border, measured in the bone's box alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from handbone_cli import PackedMask

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class NearBorder:
    """Distances around one bone of one image.

    Attributes:
        image: index in the batch.
        box: y0, y1, x0, x1; every pixel that is less than `reach` away lies in it.
        distance: (y1 - y0, x1 - x0) float32 px to the nearest pixel of the other side, 1 or more;
            negative in the bone.
    """

    image: int
    box: tuple[int, int, int, int]
    distance: torch.Tensor


def near_borders(labels: torch.Tensor, classes: int, reach: int) -> list[list[NearBorder]]:
    """(N, h, w, P) uint8 packed labels -> for each class, its bones and `reach` px around them.

    Euclidean, pixel centre to pixel centre (cv2's exact transform). The edge of the image is no
    border: a bone that is cut there goes on. A bone that fills the image is infinitely deep.
    """
    found: list[list[NearBorder]] = [[] for _ in range(classes)]
    for image, planes in enumerate(labels.cpu().numpy()):
        mask = PackedMask(planes, classes)
        size = mask.size
        for index, (y0, y1, x0, x1) in enumerate(mask.boxes()):
            if y0 == y1:
                continue
            box = (
                max(y0 - reach, 0),
                min(y1 + reach, size[0]),
                max(x0 - reach, 0),
                min(x1 + reach, size[1]),
            )
            distance = torch.from_numpy(signed_distance(mask.crop(index, box)))
            found[index].append(NearBorder(image, box, distance.to(labels.device)))
    return found


def signed_distance(inside: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(h, w) booleans with a true one -> px to the nearest pixel of the other side, - if inside."""
    import cv2

    if inside.all():
        return np.full(inside.shape, -np.inf, np.float32)
    exact = (cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outer = cv2.distanceTransform((~inside).astype(np.uint8), *exact)
    inner = cv2.distanceTransform(inside.astype(np.uint8), *exact)
    return np.asarray(outer - inner, np.float32)
