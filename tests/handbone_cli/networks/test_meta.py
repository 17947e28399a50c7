from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from handbone_cli.networks.memory import MemoryTracker
from handbone_cli.networks.meta import (
    QUICK,
    FusedAttention,
    QuickShapes,
    parameters_without_storage,
)

aten = torch.ops.aten
SIZE = (2, 6, 8, 10)
LAST = torch.channels_last
LAYOUTS = {
    "contiguous": torch.rand(SIZE),
    "channels_last": torch.rand(SIZE).contiguous(memory_format=LAST),
    "transposed": torch.rand(2, 10, 8, 6).transpose(1, 3),
    "tokens": torch.rand(2, 6, 10).transpose(1, 2),
}


def layout(results):
    results = results if isinstance(results, tuple) else (results,)
    return [None if each is None else (each.shape, each.stride()) for each in results]


def calls(images):
    """Every quick operator on one layout, its gradients in two."""
    channels, tokens = torch.rand(images.shape[1]), torch.rand(images.shape[-1])
    running = (channels, channels, channels.clone(), channels.clone())
    wide = [images.shape[-1]]
    _, mean, rstd = aten.native_layer_norm.default(images, wide, tokens, tokens, 1e-5)
    for training in (True, False):
        yield aten.native_batch_norm.default, (images, *running, training, 0.1, 1e-5)
    yield aten.native_layer_norm.default, (images, wide, tokens, tokens, 1e-5)
    yield aten.gelu.default, (images,)
    yield aten.relu.default, (images,)
    flat = images.reshape(-1, images.shape[-1])
    yield aten.addmm.default, (torch.rand(5), flat, torch.rand(images.shape[-1], 5))
    yield aten.addmm.default, (torch.rand(5), flat, torch.rand(5, images.shape[-1]).t())
    for operator in (aten.add.Tensor, aten.mul.Tensor):
        yield operator, (images, images)
        yield operator, (images, torch.rand(images.shape))
        yield operator, (images, tokens)
        yield operator, (tokens, images)
        yield operator, (images, 2)
        yield operator, (images, torch.rand(images.shape[-2], 1))
        yield operator, (torch.rand(images.shape[1], *[1] * (images.ndim - 2)), images)
        yield operator, (images[:1], torch.rand(images.shape))
        yield operator, (images, torch.rand(4, *[1] * images.ndim))
        yield operator, (images, torch.ones(1, dtype=torch.float64))
        yield operator, (images.long(), 0.5)
    for gradient in (torch.rand_like(images), torch.rand(images.shape)):
        batch = (gradient, images, channels, *running[2:], channels, channels, True, 1e-5)
        layer = (gradient, images, wide, mean, rstd, tokens, tokens)
        for wanted in ([True, True, True], [False, True, False]):
            yield aten.native_batch_norm_backward.default, (*batch, wanted)
            yield aten.native_layer_norm_backward.default, (*layer, wanted)
        yield aten.gelu_backward.default, (gradient, images)
        yield aten.threshold_backward.default, (gradient, images, 0)
        yield aten.leaky_relu_backward.default, (gradient, images, 0.01, False)
        yield aten._softmax_backward_data.default, (gradient, images, -1, torch.float32)
    maps = images if images.ndim == 4 else images[None]
    for aligned in (False, True):
        yield aten.upsample_bilinear2d.default, (maps, [9, 7], aligned, None, None)
    yield aten._safe_softmax.default, (images, -1)
    yield aten.clamp_.default, (images, 0.1, 0.2)
    yield aten.uniform_.default, (images,)
    yield aten.normal_.default, (images,)
    yield aten.erfinv_.default, (images,)


def without_numbers(value):
    if not isinstance(value, torch.Tensor):
        return value
    return torch.empty_strided(value.shape, value.stride(), device="meta")


@pytest.mark.parametrize("name", LAYOUTS)
def test_quick_operators_give_what_the_real_ones_give(name):
    seen = set()
    for operator, arguments in calls(LAYOUTS[name].clone(memory_format=torch.preserve_format)):
        real = layout(operator(*arguments))
        with QuickShapes():
            assert layout(operator(*map(without_numbers, arguments))) == real, operator
        seen.add(operator)
    assert seen == set(QUICK)


def test_quick_products_refuse_what_the_real_ones_refuse():
    held = [torch.empty(size, device="meta") for size in ((4,), (3, 5), (6, 4))]
    with QuickShapes(), pytest.raises(RuntimeError):
        torch.addmm(*held)
    with QuickShapes(), pytest.raises(RuntimeError):
        _ = held[1] + held[2]


def test_quick_operators_leave_real_tensors_alone():
    images = torch.rand(2, 3)
    expected = functional.gelu(images)
    with QuickShapes():
        assert torch.equal(functional.gelu(images), expected)
        assert images.clone().uniform_(3, 4).min() >= 3


def test_parameters_are_built_without_storage_and_buffers_with_it():
    first = nn.Linear(4, 4)
    state = torch.random.get_rng_state()
    with parameters_without_storage():
        model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm2d(4))
        numbers = [each.item() for each in torch.linspace(0, 1, 3)]
        tied = nn.Linear(4, 4)
        tied.weight = model[0].weight
        model[0].bias.requires_grad_(False)
        nn.Module().register_parameter("none", None)
        tied.fixed = nn.Parameter(torch.zeros(2), requires_grad=False)
    assert all(each.is_meta for each in model.parameters())
    assert not any(each.is_meta for each in model.buffers())
    assert numbers == [0, 0.5, 1]
    assert tied.weight is model[0].weight
    assert (tied.fixed.is_meta, tied.fixed.requires_grad) == (True, False)
    assert [each.requires_grad for each in model.parameters()] == [True, False, True, True]
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not any(each.is_meta for each in (*first.parameters(), *nn.Linear(2, 2).parameters()))


def test_a_builder_that_fails_leaves_torch_as_it_was():
    register = nn.Module.register_parameter
    with pytest.raises(ZeroDivisionError), parameters_without_storage():
        _ = 1 / 0
    assert nn.Module.register_parameter is register


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_attention_keeps_no_matrix_of_tokens(masked, named):
    tokens, width = 512, 8
    matrix = tokens * tokens * 4
    mask = torch.zeros(tokens, tokens, device="meta") if masked else None
    query = torch.empty(1, 1, tokens, width, device="meta", requires_grad=True)
    attend = functional.scaled_dot_product_attention

    def peak():
        with MemoryTracker() as tracker:
            if named:
                found = attend(query=query, key=query, value=query, attn_mask=mask)
            else:
                found = attend(query, query, query, mask)
            found.sum().backward()
        assert found.shape == query.shape
        assert query.grad.shape == query.shape
        return tracker.peak

    assert peak() > matrix
    with FusedAttention():
        assert peak() < matrix / 4


@pytest.mark.parametrize(
    ("query", "key", "value"),
    [
        ((2, 5, 8), (2, 7, 8), (2, 7, 8)),
        ((1, 2, 5, 8), (1, 2, 7, 8), (1, 2, 7, 4)),
        ((1, 2, 5, 8), (1, 2, 7, 8), (1, 2, 7, 8)),
    ],
)
def test_attention_of_any_shape_is_as_wide_as_its_values(query, key, value):
    def attend(device):
        sizes = (query, key, value)
        return functional.scaled_dot_product_attention(
            *(torch.ones(s, device=device) for s in sizes)
        )

    with FusedAttention():
        assert attend("meta").shape == attend("cpu").shape == (*query[:-1], value[-1])


def test_a_mask_that_learns_keeps_the_matrix_and_real_attention_its_numbers():
    query, mask = torch.rand(1, 1, 4, 8), torch.rand(4, 4, requires_grad=True)
    attend = functional.scaled_dot_product_attention
    expected = attend(query, query, query, mask)
    with FusedAttention():
        assert torch.equal(attend(query, query, query, mask), expected)
        held = torch.zeros(4, 4, device="meta", requires_grad=True)
        attend(*[query.to("meta")] * 3, held).sum().backward()
    assert held.grad.shape == (4, 4)
