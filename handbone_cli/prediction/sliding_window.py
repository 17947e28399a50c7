"""Windows over an image, stitched row by row: only sums that wait for a window are in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from handbone_cli.prediction.seam import Rooms, Seam
from handbone_cli.prediction.window_weights import WindowWeights

if TYPE_CHECKING:
    from collections.abc import Callable

    from handbone_cli.prediction.window_batch import WindowBatch


@dataclass(frozen=True, eq=False)
class Windows:
    """How windows lie and weigh.

    Attributes:
        window: side in pixels.
        stride: step in pixels; the last window is shifted inward, never dropped.
        gaussian: weighted by a Gaussian about the centre, or all alike.
        sigma: SD of the Gaussian, in windows.
        weight: (window, window) float32 above 0, in place of both; None: as they say.
    """

    window: int
    stride: int
    gaussian: bool = True
    sigma: float = 0.3
    weight: torch.Tensor | None = None


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along an axis; the last ends at the edge."""
    if length <= window:
        return [0]
    regular = list(range(0, length - window, stride))
    return [*regular, length - window]


def profile(windows: Windows) -> torch.Tensor:
    """The weight along one axis, (window,), highest at the centre; the 2-D weight is its square."""
    window = windows.window
    if not windows.gaussian:
        return torch.ones(window)
    place = (torch.arange(window, dtype=torch.float32) + 0.5) / window - 0.5
    return torch.exp(-0.5 * (place / windows.sigma) ** 2).clamp_min(1e-4)


def pad_to_window(image: torch.Tensor, window: int) -> torch.Tensor:
    """Pad (1, channels, H, W) at the right and lower edge by reflection to at least a window."""
    right, below = max(window - image.shape[-1], 0), max(window - image.shape[-2], 0)
    while right or below:
        step_right = min(right, image.shape[-1] - 1) if image.shape[-1] > 1 else right
        step_below = min(below, image.shape[-2] - 1) if image.shape[-2] > 1 else below
        mode = "reflect" if min(image.shape[-2:]) > 1 else "replicate"
        image = functional.pad(image, (0, step_right, 0, step_below), mode=mode)
        right, below = right - step_right, below - step_below
    return image


def stitch(
    image: torch.Tensor,
    model: Callable[[torch.Tensor], torch.Tensor],
    windows: Windows,
    batch: WindowBatch,
    out: torch.Tensor,
    *,
    logits: bool = False,
    rooms: Rooms | None = None,
) -> torch.Tensor:
    """Weighted means of what a model makes of windows, each pixel as soon as its last one is there.

    Args:
        image: (1, channels, H, W) float32, normalised.
        model: windows (N, channels, window, window) -> maps (N, C, window, window) float32.
        windows: how they lie and weigh.
        batch: how many go through the model at a time.
        out: (C, H, W) on the image's device; uint8 for q = rint(255 p), or float32 for p.
        logits: the maps are logits, and the sigmoid is taken of their mean.
        rooms: memory that is kept for the next image.

    Returns:
        `out`, every pixel written once.
    """
    padded, side = pad_to_window(image, windows.window), windows.window
    ys = starts(int(padded.shape[-2]), side, windows.stride)
    xs = starts(int(padded.shape[-1]), side, windows.stride)
    weight = profile(windows) if windows.weight is None else windows.weight
    weights = WindowWeights(weight.to(image.device, torch.float32), ys, xs)
    seam = Seam(out, weights, rooms or Rooms(), logits=logits)

    def crops(first: int, last: int) -> torch.Tensor:
        places = (divmod(number, len(xs)) for number in range(first, last))
        corners = ((ys[row], xs[column]) for row, column in places)
        return torch.cat([padded[..., y : y + side, x : x + side] for y, x in corners])

    for number, maps in batch.maps(model, crops, len(ys) * len(xs), image.device):
        seam.add(maps, *divmod(number, len(xs)))
        del maps  # the last of a batch would keep all of it beside the next one
    return out
