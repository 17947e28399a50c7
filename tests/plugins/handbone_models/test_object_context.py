from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from handbone_models.object_context import ObjectContextHead, attend, gather


@pytest.fixture
def head():
    """Small, in eval mode, with statistics and scales that are not those of the beginning."""
    torch.manual_seed(3)
    head = ObjectContextHead(6, 5, middle=8, keys=4)
    for layer in head.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.uniform_(-1, 1)
            for values in (layer.running_var, layer.weight.data, layer.bias.data):
                values.uniform_(0.5, 2)
    return head.eval()


def pointwise(state, name, maps):
    """A 1x1 convolution, with a bias where it has one."""
    bias = state.get(f"{name}.bias", torch.zeros(1))
    mixed = torch.einsum("oi,nihw->nohw", state[f"{name}.weight"][:, :, 0, 0], maps)
    return mixed + bias[:, None, None]


def normalised(state, name, maps):
    """Batch normalisation by running statistics, then the positive part."""
    mean, var, weight, bias = (
        state[f"{name}.{key}"][:, None, None]
        for key in ("running_mean", "running_var", "weight", "bias")
    )
    return ((maps - mean) / (var + 1e-5).sqrt() * weight + bias).clamp(min=0)


def transformed(state, name, maps, count):
    for step in range(count):
        maps = pointwise(state, f"{name}.{3 * step}", maps)
        maps = normalised(state, f"{name}.{3 * step + 1}", maps)
    return maps


def reference(head, features):
    """Equations 1 to 5 of the paper, pixel by pixel, from the head's weights alone."""
    state = head.state_dict()
    n, _, height, width = features.shape
    regions = normalised(state, "regions.1", pointwise(state, "regions.0", features))
    auxiliary = pointwise(state, "regions.3", regions)
    kernel = state["pixels.0.weight"]
    columns = functional.unfold(features, 3, padding=1).view(n, -1, height, width)
    mixed = torch.einsum("oi,nihw->nohw", kernel.flatten(1), columns)
    pixels = normalised(state, "pixels.1", mixed + state["pixels.0.bias"][:, None, None])

    raised = auxiliary.exp()
    shares = raised / raised.sum(dim=(2, 3), keepdim=True)
    objects = torch.einsum("nkhw,nchw->nck", shares, pixels)[..., None]
    query = transformed(state, "query", pixels, 2)
    key = transformed(state, "key", objects, 2)
    value = transformed(state, "value", objects, 1)
    likeness = torch.einsum("nchw,nckx->nkhw", query, key) / query.shape[1] ** 0.5
    weights = likeness.exp() / likeness.exp().sum(dim=1, keepdim=True)
    context = torch.einsum("nkhw,nckx->nchw", weights, value)
    joined = torch.cat([transformed(state, "context", context, 1), pixels], 1)
    fused = normalised(state, "fuse.0.1", pointwise(state, "fuse.0.0", joined))
    return pointwise(state, "classify", fused), auxiliary


def test_it_computes_what_the_paper_says(head):
    features = torch.randn(2, 6, 5, 7)
    for made, expected in zip(head(features), reference(head, features), strict=True):
        torch.testing.assert_close(made, expected, atol=1e-5, rtol=1e-5)


def test_shapes_and_a_gradient_for_every_parameter(head):
    logits, auxiliary = head.train()(torch.randn(2, 6, 4, 3))
    assert logits.shape == auxiliary.shape == (2, 5, 4, 3)
    logits.square().sum().backward()  # the auxiliary layers are reached through the regions too
    assert [name for name, value in head.named_parameters() if value.grad is None] == []


def test_its_layers_are_those_of_the_authors():
    head = ObjectContextHead(720, 29)
    count = {
        name: sum(each.numel() for each in child.parameters())
        for name, child in head.named_children()
    }
    assert count == {
        "regions": 720 * 720 + 720 + 2 * 720 + 720 * 29 + 29,
        "pixels": 9 * 720 * 512 + 512 + 2 * 512,
        "query": 512 * 256 + 256 * 256 + 4 * 256,
        "key": 512 * 256 + 256 * 256 + 4 * 256,
        "value": 512 * 256 + 2 * 256,
        "context": 256 * 512 + 2 * 512,
        "fuse": 1024 * 512 + 2 * 512,
        "classify": 512 * 29 + 29,
    }
    assert head.fuse[1].p == 0.05


def test_a_region_of_even_logits_is_the_mean_of_all_pixels():
    pixels = torch.randn(2, 3, 4, 5)
    objects = gather(pixels, torch.full((2, 2, 4, 5), 7.0))
    expected = pixels.mean(dim=(2, 3))[:, :, None, None].expand(2, 3, 2, 1)
    torch.testing.assert_close(objects, expected)


def test_regions_of_overlapping_bones_do_not_compete():
    """What one class claims changes no other's region: the softmax is over pixels."""
    pixels, logits = torch.randn(1, 3, 4, 4), torch.randn(1, 2, 4, 4)
    louder = logits.clone()
    louder[:, 0] *= 5
    assert torch.equal(gather(pixels, logits)[:, :, 1], gather(pixels, louder)[:, :, 1])


def test_a_single_region_is_everybody_s_context():
    query, key, value = torch.randn(1, 4, 3, 2), torch.randn(1, 4, 1, 1), torch.randn(1, 4, 1, 1)
    torch.testing.assert_close(attend(query, key, value), value.expand(1, 4, 3, 2))


class Largest(TorchDispatchMode):
    """Notes the size of the largest tensor that is made."""

    size = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for each in result if isinstance(result, (tuple, list)) else [result]:
            if isinstance(each, torch.Tensor):
                self.size = max(self.size, each.numel())
        return result


def test_no_tensor_has_a_number_for_every_pair_of_pixels(head):
    with Largest() as seen, torch.no_grad():
        head(torch.randn(1, 6, 32, 32))
    assert seen.size <= 9 * 16 * 32 * 32 < (32 * 32) ** 2
