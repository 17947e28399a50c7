from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from handbone_cli import ModelContext
from handbone_cli.host.registry import installed
from handbone_cli.networks.products import ProductCounter


class Attention(nn.Module):
    def forward(self, tokens):
        return functional.scaled_dot_product_attention(tokens, tokens, tokens)


class Products(nn.Module):
    def forward(self, tokens):
        return tokens @ tokens.transpose(-1, -2)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("model", "size", "macs"),
    [
        (nn.Conv2d(3, 8, 3, stride=2, padding=1), (2, 3, 8, 8), 2 * 4 * 4 * 8 * 27),
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), (1, 8, 5, 5), 5 * 5 * 8 * 9),
        (nn.Conv2d(4, 8, 3, padding=2, dilation=2), (1, 4, 9, 9), 9 * 9 * 8 * 36),
        (nn.ConvTranspose2d(4, 2, 2, stride=2), (1, 4, 5, 5), 5 * 5 * 4 * 2 * 4),
        (nn.Linear(5, 7), (2, 3, 5), 2 * 3 * 5 * 7),
        (Products(), (2, 6, 4), 2 * 6 * 6 * 4),
        (Products(), (6, 4), 6 * 6 * 4),
        (Attention(), (1, 2, 6, 4), 2 * 2 * 6 * 6 * 4),
        (nn.BatchNorm2d(3).eval(), (2, 3, 4, 4), 0),
    ],
)
def test_products_by_hand(model, size, macs, device):
    with torch.no_grad(), ProductCounter() as counter:
        deepcopy(model).to(device)(torch.ones(size, device=device))
    assert counter.flops == 2 * macs


def test_the_total_is_that_of_torchs_own_counter():
    core = installed().build("models", "nnunet", {"features": (4, 8)}, ModelContext(2))
    images = torch.rand(1, 1, 16, 16)
    with FlopCounterMode(display=False) as expected:
        core(images).sum().backward()
    with ProductCounter() as counter:
        core(images).sum().backward()
    assert counter.flops == expected.get_total_flops() > 0
