from __future__ import annotations

import numpy as np
import pytest
import torch

from handbone_cli import LossContext
from handbone_cli.host.registry import installed


@pytest.fixture(scope="session")
def pack():
    """(N, C, h, w) targets -> (N, h, w, P) packed labels."""

    def packed(targets):
        planes = np.asarray(targets).astype(np.uint8).transpose(0, 2, 3, 1)
        return torch.from_numpy(np.packbits(planes, axis=-1, bitorder="little"))

    return packed


@pytest.fixture(scope="session")
def build():
    """Build a loss by name for classes c0 to c8; `overlap` for the pairs (0, 1) and (1, 8)."""

    def built(name, **options):
        names = tuple(f"c{index}" for index in range(9))
        if name == "overlap":
            options = {"pairs": [["c0", "c1"], ["c1", "c8"]], "least_pixels": 2, **options}

        def build_loss(loss, given):
            return installed().build("losses", loss, given, context)

        context = LossContext(names, build_loss)
        return build_loss(name, options)

    return built


@pytest.fixture
def batch():
    """Logits of 2 images and 9 classes, and targets that overlap; class 4 is nowhere."""
    generator = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn(2, 9, 8, 6, generator=generator)
    targets = torch.rand(2, 9, 8, 6, generator=generator) < 0.4
    targets[:, 4] = False
    return logits, targets
