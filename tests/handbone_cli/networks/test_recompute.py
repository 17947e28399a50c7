from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from handbone_cli.networks.recompute import recompute_activations


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        block = (nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3))
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.stages = nn.ModuleList([nn.Sequential(*copy.deepcopy(block)) for _ in range(3)])
        self.head = nn.Sequential(nn.Conv2d(4, 2, 1), nn.Identity())

    def forward(self, images):
        maps = self.stem(images)
        for stage in self.stages:
            maps = stage(maps)
        return self.head(maps)


def step(model, images):
    torch.manual_seed(3)
    value = model(images).square().mean()
    value.backward()
    return value


def kept_bytes(model, images):
    sizes = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model(images)
    return sum(sizes.values())


def test_results_gradients_and_statistics_stay_bit_for_bit():
    torch.manual_seed(1)
    plain = Net()
    lean = copy.deepcopy(plain)
    assert recompute_activations(lean) == 4
    images = torch.rand(2, 1, 16, 16)
    for _ in range(2):
        assert torch.equal(step(plain, images), step(lean, images))
    for one, other in zip(plain.parameters(), lean.parameters(), strict=True):
        assert torch.equal(one.grad, other.grad)
    for (name, one), other in zip(plain.named_buffers(), lean.buffers(), strict=True):
        assert torch.equal(one, other), name
    assert plain.state_dict().keys() == lean.state_dict().keys()
    assert torch.equal(plain.eval()(images), lean.eval()(images))


def test_less_is_kept():
    plain = Net()
    lean = copy.deepcopy(plain)
    recompute_activations(lean)
    images = torch.rand(2, 1, 32, 32)
    assert kept_bytes(lean, images) < 0.5 * kept_bytes(plain, images)


@pytest.mark.parametrize("name", ["nnunet", "unet"])
def test_first_party_networks_have_blocks(name):
    from handbone_cli.host.interfaces import ModelContext
    from handbone_cli.host.registry import installed

    options = {"encoder": "resnet18"} if name == "unet" else {"features": (4, 8, 8)}
    core = installed().build("models", name, options, ModelContext(2, 1, (64, 64)))
    other = copy.deepcopy(core)
    assert recompute_activations(core) > 3
    images = torch.rand(2, 1, 64, 64)
    assert torch.equal(step(core.train(), images), step(other.train(), images))
    assert all(
        torch.equal(a.grad, b.grad)
        for a, b in zip(core.parameters(), other.parameters(), strict=True)
    )
