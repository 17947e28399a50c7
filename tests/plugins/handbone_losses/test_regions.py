"""generalized_dice, jaccard, tversky and focal_tversky."""

from __future__ import annotations

from math import log

import pytest
import torch
from pydantic import ValidationError
from segmentation_models_pytorch import losses as smp

from handbone_losses.options import FocalTverskyOptions, GeneralizedDiceOptions, TverskyOptions

LOGITS = torch.tensor([0.0, log(3)]).view(1, 1, 1, 2)  # probabilities 1/2 and 3/4
TARGETS = torch.tensor([1, 0]).view(1, 1, 1, 2)  # I = 1/2, P = 5/4, T = 1, FP = 3/4, FN = 1/2


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("jaccard", {}, 1 - (0.5 + 1) / (1.25 + 1 - 0.5 + 1)),
        ("jaccard", {"smooth": 3}, 1 - (0.5 + 3) / (1.25 + 1 - 0.5 + 3)),
        ("tversky", {}, 1 - (0.5 + 1) / (0.5 + 0.3 * 0.75 + 0.7 * 0.5 + 1)),
        ("tversky", {"alpha": 2, "beta": 0}, 1 - (0.5 + 1) / (0.5 + 2 * 0.75 + 1)),
        (
            "focal_tversky",
            {"gamma": 2.0},
            (1 - (0.5 + 1) / (0.5 + 0.3 * 0.75 + 0.7 * 0.5 + 1)) ** 0.5,
        ),
        ("generalized_dice", {}, 1 - (2 * 0.5 + 1) / (1.25 + 1 + 1)),
    ],
)
def test_hand_computed(build, pack, name, options, expected):
    assert build(name, **options)(LOGITS, pack(TARGETS)).item() == pytest.approx(expected)


@pytest.mark.parametrize(
    ("weight", "of_large"), [("square", 1 / 4), ("simple", 1 / 2), ("uniform", 1)]
)
def test_generalized_dice_weighs_classes_by_their_area(build, pack, weight, of_large):
    logits = torch.zeros(1, 3, 1, 4)  # every probability 1/2, P = 2
    targets = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]).view(1, 3, 1, 4)
    both = of_large * 1 + 1 * 0.5  # the absent class weighs as the smallest
    total = of_large * (2 + 2) + 1 * (2 + 1) + 1 * 2
    expected = 1 - (2 * both + 1) / (total + 1)
    loss = build("generalized_dice", class_weight=weight)
    assert loss(logits, pack(targets)).item() == pytest.approx(expected)


def test_equal_to_smp_where_every_class_is_present(build, batch, pack):
    logits, targets = batch[0], batch[1].clone()
    targets[:, 4, 0, 0] = True
    labels, given = pack(targets), targets.long()
    pairs = {
        "jaccard": smp.JaccardLoss("multilabel", smooth=1.0),
        "tversky": smp.TverskyLoss("multilabel", smooth=1.0, alpha=0.3, beta=0.7),
    }
    for name, theirs in pairs.items():
        expected = theirs(logits, given).item()
        assert build(name)(logits, labels).item() == pytest.approx(expected, rel=1e-5)
    theirs = smp.TverskyLoss("multilabel", smooth=1.0, alpha=0.3, beta=0.7, gamma=0.75)
    one = build("focal_tversky")(logits[:, :1], pack(targets[:, :1])).item()
    assert one == pytest.approx(theirs(logits[:, :1], given[:, :1]).item(), rel=1e-5)


@pytest.mark.parametrize("whole", [True, False])
def test_equal_to_monai(build, batch, pack, whole):
    monai = pytest.importorskip("monai.losses", exc_type=ImportError)
    logits, targets = batch[0], batch[1].clone()
    targets[:, 4, 0, 0] = True
    labels, given = pack(targets), targets.float()
    smooth = {"smooth_nr": 1.0, "smooth_dr": 1.0}
    shared = {"sigmoid": True, "batch": whole, **smooth}
    # MONAI's Jaccard halves Dice's smoothing: (2 I + s) / (2 (P + T - I) + s)
    pairs = {
        ("dice", 1.0): monai.DiceLoss(**shared),
        ("jaccard", 0.5): monai.DiceLoss(jaccard=True, **shared),
        ("tversky", 1.0): monai.TverskyLoss(alpha=0.3, beta=0.7, **shared),
    }
    for (name, added), theirs in pairs.items():
        ours = build(name, smooth=added, batch=whole)(logits, labels).item()
        assert ours == pytest.approx(theirs(logits, given).item(), rel=1e-5), name
    tiny = {"smooth_nr": 1e-12, "smooth_dr": 1e-12}  # theirs is in weights, ours in pixels
    for weight in ("square", "simple", "uniform"):
        theirs = monai.GeneralizedDiceLoss(sigmoid=True, batch=whole, w_type=weight, **tiny)
        ours = build("generalized_dice", class_weight=weight, smooth=1e-12, batch=whole)
        expected = theirs(logits, given).item()
        assert ours(logits, labels).item() == pytest.approx(expected, rel=1e-5), weight


def test_bce_and_focal_equal_to_monai(build, batch, pack):
    monai = pytest.importorskip("monai.losses", exc_type=ImportError)
    logits, given, labels = batch[0], batch[1].float(), pack(batch[1])
    theirs = monai.FocalLoss(alpha=0.25, gamma=1.5)(logits, given).item()
    assert build("focal", alpha=0.25, gamma=1.5)(logits, labels).item() == pytest.approx(theirs)
    plain = torch.nn.BCEWithLogitsLoss()(logits, given).item()
    assert build("bce")(logits, labels).item() == pytest.approx(plain)


@pytest.mark.parametrize("name", ["generalized_dice", "jaccard", "tversky", "focal_tversky"])
def test_over_the_batch_or_image_by_image(build, batch, pack, name):
    logits, targets = batch
    images = [build(name)(logits[n : n + 1], pack(targets[n : n + 1])).item() for n in range(2)]
    apart = build(name, batch=False)(logits, pack(targets)).item()
    assert apart == pytest.approx(sum(images) / 2, rel=1e-5)
    assert apart != pytest.approx(build(name)(logits, pack(targets)).item(), rel=1e-4)


@pytest.mark.parametrize("name", ["generalized_dice", "jaccard", "tversky", "focal_tversky"])
def test_an_absent_class_is_pulled_down_and_costs_nothing_once_it_is(build, batch, pack, name):
    logits, labels = batch[0].clone().requires_grad_(), pack(batch[1])
    build(name)(logits, labels).backward()
    assert (logits.grad[:, 4] > 0).all()
    sure = build(name)(torch.full_like(logits, -40.0), pack(torch.zeros_like(batch[1])))
    assert sure.item() == pytest.approx(0, abs=1e-4)


def test_options_out_of_range_are_refused():
    for options in ({"alpha": -1}, {"beta": float("nan")}, {"alpha": 0, "beta": 0}):
        with pytest.raises(ValidationError):
            TverskyOptions(**options)
    with pytest.raises(ValidationError):
        FocalTverskyOptions(gamma=0)
    with pytest.raises(ValidationError):
        GeneralizedDiceOptions(class_weight="cube")
