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


def labels_at(labels: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """(N, H, W, P) packed labels at a smaller (h, w): the nearest pixel of each, as nnU-Net does.

    Packed labels are never interpolated: one index moves all classes.
    """
    height, width = int(labels.shape[1]), int(labels.shape[2])
    if (height, width) == size:
        return labels
    rows, columns = (
        ((torch.arange(few, device=labels.device) + 0.5) * many / few).long()
        for few, many in ((size[0], height), (size[1], width))
    )
    return labels[:, rows][:, :, columns]
