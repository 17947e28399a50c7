from __future__ import annotations

import pytest
import torch
from torch import nn

from handbone_cli.host.interfaces import ModelContext
from handbone_cli.networks.wrapper import Segmenter, pad_to_multiple
from handbone_cli.testing import check_model


class Constant(nn.Module):
    """Zero logits at the size of the input, at the given strides for auxiliary outputs."""

    def __init__(self, classes, strides=()):
        super().__init__()
        self.classes, self.strides = classes, strides

    def forward(self, images):
        assert images.shape[-1] % 8 == images.shape[-2] % 8 == 0
        n, _, h, w = images.shape
        outputs = [torch.zeros(n, self.classes, h // s, w // s) for s in (1, *self.strides)]
        return outputs if self.strides else outputs[0]


class Identity(nn.Module):
    def forward(self, images):
        return images.expand(-1, 2, -1, -1)


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (33, 47), (64, 64), (63, 9), (8, 15)])
def test_any_size(size):
    model = Segmenter(Identity(), 2, 8).eval()
    images = torch.rand(2, 1, *size)
    assert torch.equal(model(images), images.expand(-1, 2, -1, -1))


def test_padding_mirrors_and_replicates_where_it_must():
    row = torch.arange(6.0).view(1, 1, 1, 6).expand(1, 1, 6, 6)
    assert pad_to_multiple(row, 4)[0, 0, 0].tolist() == [0, 1, 2, 3, 4, 5, 4, 3]
    assert pad_to_multiple(row, 32)[0, 0, 0, 6:].eq(5).all()
    assert pad_to_multiple(row, 3) is row


def test_auxiliary_outputs_are_a_list_in_training_alone():
    model = Segmenter(Constant(3, (2, 4)), 3, 8)
    shapes = [tuple(each.shape) for each in model.train()(torch.rand(2, 1, 13, 21))]
    assert shapes == [(2, 3, 13, 21)] * 3
    assert tuple(model.eval()(torch.rand(2, 1, 13, 21)).shape) == (2, 3, 13, 21)


def test_auxiliary_outputs_keep_their_resolution_where_nothing_was_padded():
    model = Segmenter(Constant(3, (2, 4)), 3, 8).train()
    model.start_at_prior(torch.full((3,), 0.25))
    outputs = model(torch.rand(2, 1, 16, 24))
    assert [tuple(each.shape[2:]) for each in outputs] == [(16, 24), (8, 12), (4, 6)]
    assert all(torch.allclose(torch.sigmoid(each), torch.tensor(0.25)) for each in outputs)


def test_a_model_says_its_least_size_and_the_wrapper_pads_to_it():
    core = Identity()
    core.minimum = 17
    model = Segmenter(core, 2, 8).eval()
    seen = []
    core.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape[2:])))
    images = torch.rand(1, 1, 5, 30)
    assert torch.equal(model(images), images.expand(-1, 2, -1, -1))
    assert seen == [(24, 32)]


def test_the_start_is_the_prior():
    model = Segmenter(Constant(4), 4, 8)
    model.start_at_prior(torch.tensor([0.02, 0.3, 0.0, 0.9]))
    start = torch.sigmoid(model(torch.rand(1, 1, 9, 9)))[0, :, 4, 4]
    assert start.tolist() == pytest.approx([0.02, 0.3, 1e-5, 0.5], rel=1e-4)


def test_a_model_knows_its_divisor_best():
    core = Constant(1)
    core.divisor = 16
    assert Segmenter(core, 1, 8).divisor == 16


def test_conformance_of_a_small_model():
    def build(options, context):
        return nn.Conv2d(context.in_channels, context.classes, 3, padding=1)

    check_model(build, None, ModelContext(3, 1, (16, 16)), divisor=4, sizes=((5, 7),))
