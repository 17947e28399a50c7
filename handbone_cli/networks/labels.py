"""Packed labels on the device: unpacked to one plane a class only where a loss needs it."""

from __future__ import annotations

import torch


def unpack_labels(
    labels: torch.Tensor, classes: int, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """(N, h, w, ceil(classes / 8)) uint8 -> (N, classes, h, w) of 0 and 1 on the same device."""
    index = torch.arange(classes, device=labels.device)
    planes = labels.permute(0, 3, 1, 2)[:, index >> 3]
    bits = (index & 7).to(torch.uint8).view(1, -1, 1, 1)
    return ((planes >> bits) & 1).to(dtype)
