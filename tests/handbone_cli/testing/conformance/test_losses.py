from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from handbone_cli import unpack_labels
from handbone_cli.errors import HandboneError
from handbone_cli.testing import check_loss
from handbone_cli.testing.conformance import losses


def bce(logits, labels):
    targets = unpack_labels(labels, logits.shape[1])
    return functional.binary_cross_entropy_with_logits(logits.float(), targets)


def changed_labels(logits, labels):
    value = bce(logits, labels)
    labels |= 1
    return value


def changed_logits(logits, labels):
    value = bce(logits.clone(), labels)
    logits.data.clamp_(-1, 1)
    return value


def restless(logits, labels):
    return bce(logits, labels) * (1 + 0.1 * torch.rand(()))


def afraid(logits, labels):
    """Would rather be wrong than unsure."""
    return bce(logits, labels) + 100 * (-logits.abs()).exp().mean()


def naive(logits, labels):
    """Log of a sigmoid, which is infinite where the sigmoid is zero."""
    targets = unpack_labels(labels, logits.shape[1])
    p = logits.float().sigmoid()
    return -(targets * p.log() + (1 - targets) * (1 - p).log()).mean()


def empty_dice(logits, labels):
    targets = unpack_labels(labels, logits.shape[1])
    p = logits.float().sigmoid() * targets
    return 1 - p.sum() / targets.sum()


def in_half(logits, labels):
    targets = unpack_labels(labels, logits.shape[1], logits.dtype)
    p = logits.sigmoid()
    return 1 - (p * targets).sum() / (p + targets).sum().clamp(min=1e-3)


def coarse(logits, labels):
    """Rounds what it is given in half precision."""
    short = logits.dtype is not torch.float32
    return bce(logits, labels) * (1.1 if short else 1.0)


def blind_beyond_a_byte(logits, labels):
    return bce(logits[:, :8], labels[..., :1]) - bce(-logits[:, 8:].detach(), labels[..., 1:])


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (lambda logits, labels: -bce(logits, labels), "must rise in this order"),
        (afraid, "must rise in this order"),
        (lambda logits, labels: logits, r"expected the shape \(\), got \(2, 9, 8, 10\)"),
        (lambda logits, labels: 1.0, "expected a tensor, got a float"),
        (lambda logits, labels: bce(logits, labels) * float("nan"), "the loss is nan"),
        (lambda logits, labels: bce(logits, labels).double(), "gave a loss of torch.float64"),
        (lambda logits, labels: bce(logits.detach(), labels), "no gradient reaches the logits"),
        (naive, "must rise in this order, got .*nan"),
        (empty_dice, "the loss is nan for right logits and no bone anywhere"),
        (in_half, "float16 logits"),
        (coarse, "begin with logits.float"),
        (changed_labels, "the loss changed the labels it was given"),
        (changed_logits, "the loss changed the logits it was given"),
        (restless, "the same logits and labels gave"),
    ],
)
def test_what_is_wrong_is_said(loss, words):
    with pytest.raises(AssertionError, match=words):
        check_loss(loss, classes=9)


@pytest.mark.parametrize("classes", [1, 3, 9])
def test_what_is_right_passes(classes):
    check_loss(bce, classes)


def test_other_numbers_of_classes_are_tried_where_it_can_be_built_again():
    def build(count):
        if count == refused:
            raise HandboneError("not for so many")
        return bce

    refused = 1
    losses.classes(losses.TriedLoss(bce, build=build))
    refused = 29
    with pytest.raises(AssertionError, match="cannot be built for 29 classes"):
        losses.classes(losses.TriedLoss(bce, build=build))
