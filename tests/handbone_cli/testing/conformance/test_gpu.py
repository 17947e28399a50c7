"""The checks on a GPU, led through a CPU: what they run is run, and what is not there is missed."""

from __future__ import annotations

import unittest

import pytest
import torch
from torch import nn

from handbone_cli.host.interfaces import ModelContext
from handbone_cli.testing.conformance import loaders, losses, models, requirements, tta


class View:
    def augment(self, images):
        return images

    def restore(self, maps, size):
        return maps


@pytest.fixture
def as_if(monkeypatch):
    """A CPU in place of the GPU."""
    for module in (models, losses, tta, loaders):
        monkeypatch.setattr(module, "gpu_or_skip", lambda: torch.device("cpu"))


def test_a_model_and_a_view_that_stay_on_the_cpu(as_if, monkeypatch):
    model = models.TriedModel(lambda c: nn.Conv2d(1, c.classes, 1), ModelContext(3, 1, (8, 8)))
    with monkeypatch.context() as patched:
        patched.setattr(torch, "autocast", lambda *_, **__: torch.no_grad())
        with pytest.raises(AssertionError, match="on a GPU the logits came back on cpu"):
            models.gpu(model)
    with pytest.raises(AssertionError, match="the maps came back on cpu"):
        tta.gpu(tta.TriedView(View()))


def test_a_loss_is_held_against_that_of_the_cpu(as_if):
    def loss(logits, labels):
        return logits.sum() + labels.float().mean()

    losses.gpu(losses.TriedLoss(loss))
    values = iter((1.0, 2.0))
    with pytest.raises(AssertionError, match="the loss is 1 on a GPU and 2 on a CPU"):
        losses.gpu(losses.TriedLoss(lambda logits, labels: loss(logits, labels) * 0 + next(values)))


def test_a_loader_is_told_of_the_device(as_if):
    told = []

    class Loader:
        def __init__(self, context):
            self.context = context
            told.append(context.device)

        def epoch(self, number, start=0):
            patches = [self.context.source.patch(number, place) for place in range(self.most)]
            images = torch.stack([torch.from_numpy(patch.image) for patch in patches])
            yield images, torch.stack([torch.from_numpy(patch.labels) for patch in patches])

    Loader.most = 12
    loaders.gpu(loaders.TriedLoader(Loader))
    assert told == ["cuda"]
    Loader.most = 11
    with pytest.raises(AssertionError, match="it had the patches"):
        loaders.gpu(loaders.TriedLoader(Loader))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_is_skipped():
    with pytest.raises(unittest.SkipTest, match="no GPU here"):
        requirements.gpu_or_skip()
