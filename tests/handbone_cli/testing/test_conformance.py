"""The checks must fail where a component is wrong."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from handbone_cli.host.interfaces import ModelContext
from handbone_cli.testing import check_loss, check_model, check_postprocessor, check_tta

CONTEXT = ModelContext(3, 1, (16, 16))


class Idle(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.unused = nn.Conv2d(1, 3, 1), nn.Conv2d(1, 3, 1)

    def forward(self, images):
        return self.used(images)


class Restless(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(1, 3, 1)

    def forward(self, images):
        return nn.functional.dropout(self.layer(images), 0.5, training=True)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Idle, "no gradient reaches core.unused.weight, core.unused.bias"),
        (Restless, "the same image gave two maps"),
        (lambda: nn.Conv2d(1, 3, 1, bias=True), None),
        (lambda: "net", "build gave a str, no nn.Module"),
    ],
)
def test_models(model, words):
    if words is None:
        check_model(lambda *_: model(), None, CONTEXT)
    else:
        with pytest.raises(AssertionError, match=words):
            check_model(lambda *_: model(), None, CONTEXT)


def test_losses():
    def good(logits, labels):
        bits = torch.tensor([1, 2, 4]).view(1, 3, 1, 1)
        truth = (labels[..., 0][:, None] & bits > 0).float()
        return nn.functional.binary_cross_entropy_with_logits(logits, truth)

    check_loss(good)
    with pytest.raises(AssertionError, match="must rise in this order"):
        check_loss(lambda logits, labels: -good(logits, labels))
    with pytest.raises(AssertionError, match=r"expected the shape \(\), got \(2, 3, 8, 10\)"):
        check_loss(lambda logits, labels: logits)
    with pytest.raises(AssertionError, match="the loss is nan for right"):
        check_loss(lambda logits, labels: good(logits, labels) * float("nan"))


class Shift:
    def augment(self, images):
        return images.roll(1, -1)

    def restore(self, maps, size):
        return maps


def test_views():
    with pytest.raises(AssertionError, match="maps do not come back as they went"):
        check_tta(Shift())
    check_tta(Shift(), exact=False)


def test_rules():
    def changes(mask, name):
        mask[:] = ~mask
        return mask.copy()

    check_postprocessor(lambda mask, name: mask.copy())
    with pytest.raises(AssertionError, match="the rule changed the mask it was given"):
        check_postprocessor(changes)
    with pytest.raises(AssertionError, match="came back as uint8"):
        check_postprocessor(lambda mask, name: mask.astype(np.uint8))
    with pytest.raises(AssertionError, match=r"\(5, 7\) became \(7, 5\)"):
        check_postprocessor(lambda mask, name: mask.T)
