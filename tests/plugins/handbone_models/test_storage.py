from __future__ import annotations

import pytest
import torch
from torch import nn

from handbone_models.storage import QuickShapes, build_without_storage


class Rates(nn.Module):
    """Reads numbers while it is built, as networks with stochastic depth do."""

    def __init__(self):
        super().__init__()
        self.rates = [rate.item() for rate in torch.linspace(0, 1, 3)]
        self.layer = nn.Linear(2, 2)
        self.register_buffer("index", torch.arange(3))


class Sorted(Rates):
    """Needs numbers that the meta device cannot give at all."""

    def __init__(self):
        super().__init__()
        self.widths = torch.unique(torch.arange(4)).tolist()


@pytest.mark.parametrize("construct", [Rates, Sorted])
def test_a_network_that_reads_numbers_is_built_without_storage(construct):
    state = torch.random.get_rng_state()
    model = build_without_storage(construct)
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    assert model.rates == [0, 0.5, 1]
    assert torch.equal(torch.random.get_rng_state(), state)


def test_what_is_wrong_with_a_network_is_raised():
    with pytest.raises(ZeroDivisionError):
        build_without_storage(lambda: 1 / 0)


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(4), nn.LayerNorm([5, 6]), nn.GELU()], ids=type)
@pytest.mark.parametrize("train", [True, False])
def test_quick_shapes_are_those_of_the_real_layer(layer, train):
    images = torch.rand(2, 4, 5, 6)
    real = layer.train(train)(images)
    with QuickShapes():
        quick = layer.to("meta")(images.to("meta"))
    assert (quick.shape, quick.dtype, quick.is_meta) == (real.shape, real.dtype, True)
    layer.to_empty(device="cpu")


def test_quick_shapes_leave_real_tensors_their_numbers():
    images = torch.rand(2, 4, 5, 6)
    with QuickShapes():
        assert torch.equal(nn.functional.gelu(images), nn.GELU()(images))
        assert nn.init.uniform_(torch.zeros(9), 1, 2).min() >= 1
