from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from segmentation_models_pytorch import losses

from handbone_losses.dice import DiceLoss
from handbone_losses.options import DiceOptions


def pack(targets):
    planes = targets.numpy().astype(np.uint8).transpose(0, 2, 3, 1)
    return torch.from_numpy(np.packbits(planes, axis=-1, bitorder="little"))


def test_hand_computed():
    logits = torch.tensor([0.0, log(3)]).view(1, 1, 1, 2)  # probabilities 1/2 and 3/4
    targets = torch.tensor([1, 0]).view(1, 1, 1, 2)
    expected = 1 - (2 * 0.5 + 1) / (1.25 + 1 + 1)
    assert DiceLoss()(logits, pack(targets)).item() == pytest.approx(expected)
    expected = 1 - (2 * 0.5 + 3) / (1.25 + 1 + 3)
    assert DiceLoss(smooth=3)(logits, pack(targets)).item() == pytest.approx(expected)


def test_over_the_batch_or_image_by_image():
    logits = torch.tensor([60.0, -60.0]).view(2, 1, 1, 1)  # one pixel, two images
    labels = pack(torch.tensor([1, 1]).view(2, 1, 1, 1))
    assert DiceLoss(batch=True)(logits, labels).item() == pytest.approx(1 - 3 / 4)
    assert DiceLoss(batch=False)(logits, labels).item() == pytest.approx(1 - (1 + 1 / 2) / 2)


def test_equals_smp_where_every_class_is_present():
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(3, 9, 8, 6, generator=generator)
    targets = torch.rand(3, 9, 8, 6, generator=generator) < 0.3
    # smp adds its smoothing to half the numerator and half the denominator
    theirs = losses.DiceLoss("multilabel", smooth=0.5)(logits, targets.long())
    assert DiceLoss(smooth=1.0)(logits, pack(targets)).item() == pytest.approx(theirs.item())


def test_an_absent_class_is_pulled_down_and_leaves_the_others_alone():
    generator = torch.Generator().manual_seed(2)
    logits = torch.randn(2, 2, 6, 5, generator=generator)
    targets = torch.rand(2, 2, 6, 5, generator=generator) < 0.5
    targets[:, 1] = False
    both = logits.clone().requires_grad_()
    DiceLoss()(both, pack(targets)).backward()
    alone = logits[:, :1].clone().requires_grad_()
    DiceLoss()(alone, pack(targets[:, :1])).backward()
    assert (both.grad[:, 1] > 0).all()
    assert torch.allclose(2 * both.grad[:, :1], alone.grad)
    sure = torch.full_like(logits, -40.0)
    assert DiceLoss()(sure, pack(torch.zeros_like(targets))).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("truth", [0, 1])
@pytest.mark.parametrize("logit", [-60000.0, 0.0, 60000.0])
def test_finite_at_the_ends_of_float16(truth, logit, batch):
    logits = torch.full((2, 9, 4, 3), logit, dtype=torch.float16, requires_grad=True)
    loss = DiceLoss(batch=batch)(logits, pack(torch.full((2, 9, 4, 3), truth)))
    loss.backward()
    assert loss.dtype == torch.float32
    assert loss.isfinite()
    assert logits.grad.isfinite().all()


def test_sums_stay_in_float32_under_autocast():
    logits = torch.full((1, 1, 300, 300), 60.0)  # 90000 px, more than float16 holds
    with torch.autocast("cpu", dtype=torch.float16):
        loss = DiceLoss()(logits.half(), pack(torch.ones(1, 1, 300, 300)))
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("smooth", [0, -1, float("inf"), float("nan")])
def test_smooth_is_positive(smooth):
    with pytest.raises(ValidationError):
        DiceOptions(smooth=smooth)
