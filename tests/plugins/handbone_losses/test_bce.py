from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch

from handbone_losses.bce import BCELoss


def pack(targets):
    planes = targets.numpy().astype(np.uint8).transpose(0, 2, 3, 1)
    return torch.from_numpy(np.packbits(planes, axis=-1, bitorder="little"))


def test_hand_computed():
    logits = torch.tensor([0.0, log(3), log(3), 0.0]).view(1, 2, 1, 2)
    targets = torch.tensor([1, 1, 0, 0]).view(1, 2, 1, 2)
    # probabilities 1/2, 3/4, 3/4, 1/2; of the truth 1/2, 3/4, 1/4, 1/2
    expected = -(log(1 / 2) + log(3 / 4) + log(1 / 4) + log(1 / 2)) / 4
    assert BCELoss()(logits, pack(targets)).item() == pytest.approx(expected)


@pytest.mark.parametrize("truth", [0, 1])
@pytest.mark.parametrize("logit", [-60000.0, 0.0, 60000.0])
def test_finite_at_the_ends_of_float16(truth, logit):
    logits = torch.full((2, 9, 4, 3), logit, dtype=torch.float16, requires_grad=True)
    loss = BCELoss()(logits, pack(torch.full((2, 9, 4, 3), truth)))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.isfinite().all()
