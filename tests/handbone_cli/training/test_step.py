from __future__ import annotations

import copy

import pytest
import torch
from timm.utils import ModelEmaV3
from torch import nn

from handbone_cli.networks.wrapper import Segmenter
from handbone_cli.training.step import OutOfMemoryError, Stepper

STREAM = (1, 0, 0)


def network(*layers):
    torch.manual_seed(1)
    return Segmenter(nn.Sequential(*(layers or (nn.Conv2d(1, 1, 3, padding=1),))), 1, 1)


def loss_of(logits, labels):
    target = labels.permute(0, 3, 1, 2).float()
    return nn.functional.binary_cross_entropy_with_logits(logits, target)


def batch(seed, size=2):
    images = torch.rand(size, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
    return images, (images[:, 0, ..., None] > 0.5).to(torch.uint8)


def stepper(model, **given):
    keys = {
        "forward": model,
        "loss": loss_of,
        "optimizer": torch.optim.SGD(model.parameters(), lr=0.1),
        "scaler": torch.amp.GradScaler("cpu", enabled=False),
        "ema": None,
        "device": torch.device("cpu"),
        "precision": torch.float32,
    }
    return Stepper(model=model, **{**keys, **given})


def test_batches_of_one_step_are_one_large_batch():
    parts, whole = network(), network()
    first, second = batch(1), batch(2)
    joined = tuple(torch.cat(pair) for pair in zip(first, second, strict=True))
    some = stepper(parts).step([first, second], 0.1, STREAM, 1)
    all_ = stepper(whole).step([joined], 0.1, STREAM, 1)
    assert some == pytest.approx(all_, rel=1e-6)
    for one, other in zip(parts.parameters(), whole.parameters(), strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)


def test_the_average_follows_the_weights():
    model = network()
    ema = ModelEmaV3(model, 0.9, use_warmup=True)
    expected = copy.deepcopy(model.state_dict())
    work = stepper(model, ema=ema)
    for number in range(1, 40):
        work.step([batch(number)], 0.1, STREAM, number)
        keep = 0.0 if number == 1 else min(0.9, 1 - number ** (-2 / 3))
        now = model.state_dict()
        expected = {name: old * keep + now[name] * (1 - keep) for name, old in expected.items()}
    got = ema.module.state_dict()
    assert all(torch.allclose(got[name], expected[name], atol=1e-6) for name in expected)
    assert not torch.allclose(got["core.0.weight"], model.state_dict()["core.0.weight"])


def test_out_of_memory_leaves_weights_and_optimizer_as_they_were():
    model = network()

    class Small(nn.Module):
        def forward(self, images):
            if images.mean() > 0.6:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return model(images)

    work = stepper(model, forward=Small())
    before = copy.deepcopy(model.state_dict())
    images, labels = batch(1)
    with pytest.raises(OutOfMemoryError):
        work.step([(images, labels), (images + 1, labels)], 0.1, STREAM, 1)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not work.optimizer.state
