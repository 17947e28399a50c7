from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
import torch
from scipy import ndimage


def test_hand_computed(build, pack):
    logits = torch.tensor([log(3), 0.0, 0.0, 0.0]).view(1, 1, 1, 4)
    targets = torch.tensor([1, 0, 0, 0]).view(1, 1, 1, 4)
    # share 1/4: bone weighs 2, the rest 2/3; half a pixel, 1/2, 3/2 and 5/2 from the border
    bumps = [exp(-((d / 2.0) ** 2) / 2) for d in (0.5, 0.5, 1.5, 2.5)]
    weights = [2 + 3 * bumps[0], *(2 / 3 + 3 * bump for bump in bumps[1:])]
    costs = [-log(3 / 4), log(2), log(2), log(2)]
    expected = sum(w * c for w, c in zip(weights, costs, strict=True)) / sum(weights)
    loss = build("pixel_weighted_bce", border=3.0, sigma=2.0)
    assert loss(logits, pack(targets)).item() == pytest.approx(expected)


def test_balance_has_a_limit_and_no_border_is_balance_alone(build, pack):
    logits = torch.zeros(1, 2, 10, 10)
    logits[:, :, 0, 0] = -log(3)  # costs log(4) where bone, log(4/3) where not
    targets = torch.zeros(1, 2, 10, 10)
    targets[0, 0, 0, 0] = 1  # a 100th
    for most, bone in ((10.0, 10.0), (80.0, 50.0)):
        rest = 0.5 / 0.99
        present = (bone * log(4) + 99 * rest * log(2)) / (bone + 99 * rest)
        absent = (log(4 / 3) + 99 * log(2)) / 100
        loss = build("pixel_weighted_bce", border=0.0, most=most)
        assert loss(logits, pack(targets)).item() == pytest.approx((present + absent) / 2)


def test_equals_weights_of_the_whole_image(build, pack):
    rng = np.random.default_rng(6)
    targets = np.zeros((2, 9, 40, 30), bool)
    for n, c in np.ndindex(2, 9):
        y, x = rng.integers(0, 24, 2)
        targets[n, c, y : y + 7, x : x + 5] = True
    logits = torch.from_numpy(rng.normal(size=targets.shape).astype(np.float32))
    share = targets.mean((0, 2, 3), keepdims=True)
    weights = np.where(targets, np.minimum(0.5 / share, 10), 0.5 / (1 - share))
    for n, c in np.ndindex(2, 9):
        inside = targets[n, c]
        away = ndimage.distance_transform_edt(inside) + ndimage.distance_transform_edt(~inside)
        weights[n, c] += 10 * np.exp(-(((away - 0.5) / 2) ** 2) / 2)
    each = torch.nn.functional.binary_cross_entropy_with_logits(
        logits, torch.from_numpy(targets).float(), reduction="none"
    ).numpy()
    expected = ((weights * each).sum((0, 2, 3)) / weights.sum((0, 2, 3))).mean()
    loss = build("pixel_weighted_bce", border=10.0, sigma=2.0)
    assert loss(logits, pack(targets)).item() == pytest.approx(expected, rel=2e-3)
