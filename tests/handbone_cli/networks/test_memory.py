from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from handbone_cli.networks.memory import MemoryTracker, prediction_peak, training_peak
from handbone_cli.networks.wrapper import Segmenter

KIB = 1024
DEVICES = ["cpu", "meta"]


class Attending(nn.Module):
    """Convolutions, normalisations, attention and a second output."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 4, stride=4), nn.BatchNorm2d(16), nn.ReLU())
        self.norm = nn.LayerNorm(16)
        self.mix = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16))
        self.head = nn.ConvTranspose2d(16, 2, 4, stride=4)
        self.aux = nn.Conv2d(16, 2, 1)

    def forward(self, images):
        maps = self.stem(images)
        tokens = self.norm(maps.flatten(2).transpose(1, 2))
        tokens = functional.scaled_dot_product_attention(*[tokens.unsqueeze(1)] * 3).squeeze(1)
        maps = self.mix(tokens).transpose(1, 2).reshape(maps.shape)
        logits = self.head(maps)
        return [logits, self.aux(maps)] if self.training else logits


@pytest.mark.parametrize("device", DEVICES)
def test_storages_count_once_and_until_they_are_gone(device):
    held = torch.empty(KIB, dtype=torch.uint8, device=device)
    with MemoryTracker() as tracker:
        tracker.follow([held, (held[:10], None, "text")])
        assert (tracker.live, tracker.peak) == (KIB, KIB)
        double = held.repeat(2)
        view = double.view(2, KIB)[1]
        assert tracker.live == 3 * KIB
        del double
        assert tracker.live == 3 * KIB
        del view
        assert tracker.live == KIB
        pair = torch.split(held.repeat(4), KIB)
        assert len(pair) == 4
        del pair
    assert (tracker.live, tracker.peak) == (KIB, 5 * KIB)


@pytest.mark.parametrize("device", DEVICES)
def test_what_a_step_holds_by_hand(device):
    side, classes = 16, 3
    core = nn.Conv2d(1, classes, 1, bias=False)
    model = Segmenter(core, classes, 1).to(device)
    images = torch.zeros(2, 1, side, side, device=device)
    one_map = 2 * side * side * 4
    weights = 4 * 2 * classes
    # The convolution's output goes when the bias is added. At the fullest, in the backward pass,
    # there are logits, targets and three gradients for each class, the loss and its gradient.
    assert training_peak(model, images) == 3 * weights + one_map * (1 + 5 * classes) + 2 * 4
    assert all(each.grad is None for each in model.parameters())


@pytest.mark.parametrize(("size", "batch"), [((32, 32), 1), ((64, 40), 3)])
def test_tensors_without_numbers_hold_what_real_ones_would(size, batch):
    model = Segmenter(Attending(), 2, 4)
    images = torch.rand(batch, 1, *size)
    real = training_peak(model, images)
    assert training_peak(model.to("meta"), images.to("meta")) == real > 0


def test_adamw_holds_what_the_real_one_does():
    """A network of many weights and few pixels, so that the optimizer's step is the peak."""
    model = Segmenter(nn.Sequential(nn.Conv2d(1, 64, 5), nn.Conv2d(64, 2, 5)), 2, 1)
    images = torch.rand(1, 1, 9, 9)
    expected = training_peak(model, images)
    optimizer = torch.optim.AdamW(model.parameters(), foreach=True)
    model(images).sum().backward()
    optimizer.step()
    counters = 4 * len(optimizer.state)
    with MemoryTracker() as tracker:
        tracker.follow([*model.parameters(), images])
        tracker.follow([each.grad for each in model.parameters()])
        tracker.follow([value for state in optimizer.state.values() for value in state.values()])
        optimizer.step()
    weights = 4 * sum(each.numel() for each in model.parameters())
    assert expected == tracker.peak - counters == 5 * weights + 81 * 4


def test_weights_that_are_frozen_have_no_moments():
    frozen = nn.Conv2d(1, 2, 3, padding=1)
    images = torch.rand(1, 1, 8, 8)
    all_learn = training_peak(Segmenter(frozen, 2, 1), images)
    frozen.weight.requires_grad_(False)
    assert training_peak(Segmenter(frozen, 2, 1), images) == all_learn - 2 * 4 * 18


@pytest.mark.parametrize("device", DEVICES)
def test_the_peak_of_a_forward_pass(device):
    """One map of 8 channels beside the next, and nothing kept for a backward pass."""
    layers = [nn.Conv2d(1, 8, 1), nn.Conv2d(8, 8, 1), nn.Conv2d(8, 2, 1)]
    model = Segmenter(nn.Sequential(*layers), 2, 1).to(device)
    images = torch.empty(1, 1, 64, 64, device=device)
    plane = 64 * 64 * 4
    assert 17 * plane <= prediction_peak(model, images) <= 18 * plane
