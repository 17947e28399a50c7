from __future__ import annotations

from math import log

import numpy as np
import pytest
import torch

from handbone_cli import HandboneError, LossContext
from handbone_losses.options import OverlapOptions
from handbone_losses.overlap import OverlapLoss
from handbone_losses.overlap import build as build_overlap


def context(areas=None, names=("radius", "ulna", "lunate")):
    overlaps = None if areas is None else lambda: np.array(areas) / 2048**2
    return LossContext(names, lambda name, options: None, overlaps)


def test_hand_computed(pack):
    logits = torch.tensor([[0.0, log(9), log(3), -60.0], [log(3), log(9), log(3), 60.0]])
    logits = logits.view(1, 2, 1, 4).requires_grad_()
    labels = pack(torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).view(1, 2, 1, 4))
    # lower probabilities of the three shared pixels: 1/2, 9/10, 3/4
    loss = OverlapLoss([(0, 1)], confidence=0.8, least_pixels=2)
    value = loss(logits, labels)
    value.backward()
    assert value.item() == pytest.approx((0.3 + 0 + 0.05) / 3)
    assert (logits.grad[0, :, 0] != 0).tolist() == [
        [True, False, True, False],  # the lower one is raised ...
        [False, False, True, False],  # ... and equal ones share
    ]
    assert logits.grad[0, 0, 0, 0].item() == pytest.approx(-0.25 / 3)


def test_pairs_on_few_pixels_or_none_cost_nothing(pack):
    labels = pack(torch.ones(1, 3, 2, 5))
    logits = torch.full((1, 3, 2, 5), -5.0, requires_grad=True)
    loss = OverlapLoss([(0, 1)], least_pixels=10)(logits, labels)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()
    assert OverlapLoss([(0, 1)], least_pixels=9)(logits, labels).item() > 0.6


def test_the_mean_of_the_pairs_that_are_met(pack):
    targets = torch.zeros(1, 4, 2, 6)
    targets[:, :2] = 1
    targets[:, 2, :, :3] = 1
    logits = torch.zeros(1, 4, 2, 6)
    logits[:, 2] = 60.0
    logits[:, 1] = 60.0
    met = OverlapLoss([(0, 1), (1, 2), (0, 3)], confidence=0.7, least_pixels=5)
    assert met(logits, pack(targets)).item() == pytest.approx((0.2 + 0) / 2)


def test_pairs_are_those_of_the_data():
    areas = [[0, 900, 40], [900, 0, 1e5], [40, 1e5, 0]]
    assert build_overlap(OverlapOptions(), context(areas)).pairs == ((0, 1), (1, 2))
    few = build_overlap(OverlapOptions(least_area=901), context(areas))
    assert few.pairs == ((1, 2),)
    anyhow = build_overlap(OverlapOptions(least_area=0), context([[0, 1, 0], [1, 0, 0], [0] * 3]))
    assert anyhow.pairs == ((0, 1),)


def test_pairs_by_name_need_no_data():
    options = OverlapOptions(pairs=[["lunate", "radius"]], confidence=0.9, least_pixels=3)
    loss = build_overlap(options, context())
    assert (loss.pairs, loss.confidence, loss.least_pixels) == (((2, 0),), 0.9, 3)


def test_mistakes_are_one_sentence():
    with pytest.raises(HandboneError) as caught:
        build_overlap(OverlapOptions(pairs=[["radus", "ulna"]]), context())
    assert str(caught.value) == (
        "loss 'overlap', option 'pairs': no class is named 'radus'. Did you mean 'radius'? "
        "Known: radius, ulna, lunate."
    )
    with pytest.raises(HandboneError, match="there are no labels to find pairs in; name pairs"):
        build_overlap(OverlapOptions(), context())
    with pytest.raises(HandboneError) as caught:
        build_overlap(OverlapOptions(), context([[0, 899, 0], [899, 0, 0], [0, 0, 0]]))
    assert str(caught.value) == (
        "loss 'overlap', option 'least_area': no two bones of this data overlap by 900 px at "
        "2048 px on average, 899 at most; lower it, name pairs, such as "
        "pairs = [['Triquetrum', 'Pisiform']], or leave the loss out."
    )
