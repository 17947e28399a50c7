"""Windows over an image, blended row band by row band: only the open rows are in float."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Windows:
    """How windows lie and weigh.

    Attributes:
        window: side in pixels.
        stride: step in pixels; the last window is shifted inward, never dropped.
        gaussian: weighted by a Gaussian about the centre, or all alike.
        sigma: SD of the Gaussian, in windows.
        batch_size: windows at a time.
    """

    window: int
    stride: int
    gaussian: bool = True
    sigma: float = 0.3
    batch_size: int = 2


def starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along an axis; the last ends at the edge."""
    if length <= window:
        return [0]
    regular = list(range(0, length - window, stride))
    return [*regular, length - window]


def profile(windows: Windows) -> torch.Tensor:
    """The weight along one axis, (window,), highest at the centre; the 2-D weight is its square.

    Separable, so the sum of all weights over a regular grid is the outer product of two sums.
    """
    window = windows.window
    if not windows.gaussian:
        return torch.ones(window)
    place = (torch.arange(window, dtype=torch.float32) + 0.5) / window - 0.5
    return torch.exp(-0.5 * (place / windows.sigma) ** 2).clamp_min(1e-4)


def pad_to_window(image: torch.Tensor, window: int) -> torch.Tensor:
    """Pad (1, 1, H, W) at the right and lower edge by reflection to at least a window."""
    right, below = max(window - image.shape[-1], 0), max(window - image.shape[-2], 0)
    while right or below:
        step_right = min(right, image.shape[-1] - 1) if image.shape[-1] > 1 else right
        step_below = min(below, image.shape[-2] - 1) if image.shape[-2] > 1 else below
        mode = "reflect" if min(image.shape[-2:]) > 1 else "replicate"
        image = functional.pad(image, (0, step_right, 0, step_below), mode=mode)
        right, below = right - step_right, below - step_below
    return image


def blend(
    image: torch.Tensor,
    model: Callable[[torch.Tensor], torch.Tensor],
    classes: int,
    windows: Windows,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Finished rows of the blended probabilities, from the top.

    Args:
        image: (1, 1, H, W) float32, normalised.
        model: windows (N, 1, window, window) -> probabilities (N, C, window, window).
        classes: C.
        windows: how they lie and weigh.

    Yields:
        (first row, probabilities (C, rows, W) float32); rows are whole and come once.
    """
    height, width = int(image.shape[-2]), int(image.shape[-1])
    padded = pad_to_window(image, windows.window)
    side, full_width = windows.window, int(padded.shape[-1])
    ys = starts(int(padded.shape[-2]), side, windows.stride)
    xs = starts(full_width, side, windows.stride)
    weight = profile(windows).to(image.device)
    across, down = _sums(xs, weight, full_width), _sums(ys, weight, int(padded.shape[-2]))
    band = torch.zeros((classes, side, full_width), device=image.device)
    square = weight[:, None] * weight[None, :]
    for turn, y in enumerate(ys):
        for chunk in _chunks(xs, windows.batch_size):
            crops = torch.cat([padded[..., y : y + side, x : x + side] for x in chunk])
            for x, maps in zip(chunk, model(crops), strict=True):
                band[:, :, x : x + side].addcmul_(maps.float(), square)
        done = (ys[turn + 1] if turn + 1 < len(ys) else y + side) - y
        stop = min(done, height - y)
        if stop > 0:
            total = down[y : y + stop, None] * across[None, :width]
            yield y, band[:, :stop, :width] / total
        band = torch.cat([band[:, done:], torch.zeros_like(band[:, :done])], dim=1)


def _sums(places: list[int], weight: torch.Tensor, length: int) -> torch.Tensor:
    total = torch.zeros(length, device=weight.device)
    for place in places:
        total[place : place + len(weight)] += weight
    return total


def _chunks(items: list[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
