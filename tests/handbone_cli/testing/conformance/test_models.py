from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from handbone_cli.host.interfaces import ModelContext
from handbone_cli.testing import check_model

CONTEXT = ModelContext(3, 1, (16, 16))


class Net(nn.Module):
    """A sound model, to be spoilt."""

    def __init__(self, context):
        super().__init__()
        self.layer = nn.Conv2d(context.in_channels, context.classes, 1)

    def forward(self, images):
        return self.layer(images)


class Idle(Net):
    def __init__(self, context):
        super().__init__(context)
        self.unused = nn.Conv2d(1, 3, 1)


class Restless(Net):
    def forward(self, images):
        return nn.functional.dropout(super().forward(images), 0.5, training=True)


class Unseeded(Net):
    def __init__(self, context):
        super().__init__(context)
        with torch.no_grad():
            self.layer.weight += float(np.random.default_rng().random())


class OneChannel(Net):
    def __init__(self, context):
        super().__init__(ModelContext(context.classes, 1))


class ThreeClasses(Net):
    def __init__(self, context):
        super().__init__(ModelContext(3, context.in_channels))


class Double(Net):
    def forward(self, images):
        return super().forward(images).double()


class Overflowing(Net):
    """Finite in float32 alone: what is small in bf16 is lost to it."""

    def forward(self, images):
        logits = super().forward(images)
        return logits / (1 if logits.dtype is torch.float32 else 0)


class Listing(Net):
    def forward(self, images):
        return [super().forward(images)]


class Forgetful(Net):
    """Half of it is in no checkpoint."""

    def __init__(self, context):
        super().__init__(context)
        self.scale = [torch.rand(())]

    def forward(self, images):
        return super().forward(images) * self.scale[0]


class Sharing(Net):
    def __init__(self, context):
        super().__init__(context)
        self.view = nn.Parameter(self.layer.weight.data.view(-1))

    def forward(self, images):
        return super().forward(images) * self.view.mean()


class Weighed(Net):
    output_weights = (1.0, 0.5)


class Exploding(Net):
    def forward(self, images):
        logits = super().forward(images)
        return logits + (logits - logits).sqrt() if self.training else logits


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Idle, "no gradient reaches core.unused.weight, core.unused.bias"),
        (Exploding, "a gradient is not finite: that of core.layer.weight"),
        (Restless, "the same image gave two maps"),
        (Unseeded, "the same seed gave other weights in core.layer.weight"),
        (OneChannel, "expected input"),
        (ThreeClasses, r"1 class and 3 channels: expected 1 map, got the shape"),
        (Double, "float32 images gave logits of torch.float64"),
        (Overflowing, "under bf16 autocast a logit is not finite"),
        (Listing, "in eval mode a model gives one tensor, not a list"),
        (Forgetful, "a copy with the same weights gives another map"),
        (Sharing, "core.layer.weight and core.view share memory"),
        (Weighed, "output_weights has 2 entries for 1 outputs in training"),
        (lambda _context: "net", "build gave a str, no nn.Module"),
    ],
)
def test_what_is_wrong_is_said(model, words):
    with pytest.raises((AssertionError, RuntimeError), match=words):
        check_model(lambda _options, context: model(context), None, CONTEXT)


class Deep(Net):
    output_weights = (2.0, 1.0)

    def forward(self, images):
        logits = super().forward(images)
        return [logits, logits[..., ::2, ::2]] if self.training else logits


@pytest.mark.parametrize("model", [Net, Deep])
def test_what_is_right_passes(model):
    check_model(lambda _options, context: model(context), None, CONTEXT, divisor=4)


def test_a_model_of_another_size_is_refused():
    class Cut(Net):
        def forward(self, images):
            return super().forward(images)[:, :2]

    with pytest.raises(
        AssertionError, match=r"an image gave logits of \(1, 2, 16, 16\); expected \(1, 3, h, w\)"
    ):
        check_model(lambda _options, context: Cut(context), None, CONTEXT)
