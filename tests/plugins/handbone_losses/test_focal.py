from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from segmentation_models_pytorch import losses
from torch.nn.functional import binary_cross_entropy_with_logits

from handbone_losses.focal import FocalLoss
from handbone_losses.options import FocalOptions


def pack(targets):
    planes = targets.numpy().astype(np.uint8).transpose(0, 2, 3, 1)
    return torch.from_numpy(np.packbits(planes, axis=-1, bitorder="little"))


def test_hand_computed():
    logits = torch.tensor([log(3), log(3)]).view(1, 1, 1, 2)  # probabilities 3/4
    labels = pack(torch.tensor([1, 0]).view(1, 1, 1, 2))
    bone, background = -((1 / 4) ** 2) * log(3 / 4), -((3 / 4) ** 2) * log(1 / 4)
    assert FocalLoss()(logits, labels).item() == pytest.approx((bone + background) / 2 / 2)
    unbalanced = (0.25 * bone + 0.75 * background) / 2
    assert FocalLoss(alpha=0.25)(logits, labels).item() == pytest.approx(unbalanced)


@pytest.mark.parametrize(("alpha", "gamma"), [(0.5, 2.0), (0.25, 2.0), (0.9, 1.5), (0.5, 0.0)])
def test_equals_smp(alpha, gamma):
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(2, 9, 8, 6, generator=generator)
    targets = torch.rand(2, 9, 8, 6, generator=generator) < 0.3
    theirs = losses.FocalLoss("multilabel", alpha=alpha, gamma=gamma)(logits, targets.long())
    ours = FocalLoss(alpha=alpha, gamma=gamma)(logits, pack(targets))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_without_gamma_it_is_half_of_cross_entropy():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(1, 3, 4, 4, generator=generator)
    targets = (torch.rand(1, 3, 4, 4, generator=generator) < 0.5).float()
    expected = binary_cross_entropy_with_logits(logits, targets) / 2
    assert FocalLoss(gamma=0)(logits, pack(targets)).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("truth", [0, 1])
@pytest.mark.parametrize("logit", [-60000.0, -20.0, 0.0, 20.0, 60000.0])
def test_finite_at_the_ends_of_float16(truth, logit, gamma):
    logits = torch.full((2, 9, 4, 3), logit, dtype=torch.float16, requires_grad=True)
    loss = FocalLoss(gamma=gamma)(logits, pack(torch.full((2, 9, 4, 3), truth)))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("options", [{"alpha": 1.1}, {"alpha": -0.1}, {"gamma": -1}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ValidationError):
        FocalOptions(**options)
