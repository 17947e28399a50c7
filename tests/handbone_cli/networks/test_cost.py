from __future__ import annotations

import pytest
import torch
from torch import nn

from handbone_cli.errors import HandboneError
from handbone_cli.host.interfaces import ModelContext, NoOptions, Options
from handbone_cli.host.registry import Component, installed
from handbone_cli.networks.cost import CLASSES, SIDE, ModelCost, count_macs, measure_cost

PIXELS = SIDE * SIDE


class Weighted(Options):
    pretrained: bool = False
    width: int = 4


class Branching(nn.Conv2d):
    """Looks at the numbers in its input, which tensors without storage do not have."""

    def forward(self, images):
        return super().forward(images) * (2 if float(images.mean()) > 0 else 1)


class Pooled(nn.Module):
    """Normalises one pixel of each image, which takes two images in training."""

    minimum_batch = 2
    divisor = 16
    minimum = 48

    def __init__(self, classes):
        super().__init__()
        self.head = nn.Conv2d(1, classes, 1)
        self.norm = nn.BatchNorm2d(classes)

    def forward(self, images):
        logits = self.head(images)
        return logits + self.norm(logits.mean((2, 3), keepdim=True))


def component(build, options=None):
    return Component("models", "tried", build, options, "", 8, "odd", "1.0")


def conv(options, context):
    return nn.Conv2d(context.in_channels, context.classes, 3, padding=1)


def test_a_convolution_by_hand():
    cost = measure_cost(component(conv), NoOptions())
    weights = 10 * CLASSES
    maps = 4 * PIXELS * (1 + 5 * CLASSES)
    assert cost == ModelCost(
        parameters=weights,
        macs=9 * CLASSES * PIXELS,
        memory=maps + 4 * 3 * (weights + CLASSES) + 2 * 4,
        batch=1,
        divisor=8,
        minimum=8,
    )


def test_a_real_model_costs_the_same_on_real_tensors():
    given = {"features": (4, 8), "convs_per_stage": 1}
    nnunet = installed().get("models", "nnunet")
    options = installed().parse_options(nnunet, given)
    cost = measure_cost(nnunet, options)
    core = installed().build("models", "nnunet", given, ModelContext(CLASSES, 1, (SIDE, SIDE)))
    assert cost.parameters == sum(each.numel() for each in core.parameters())
    assert cost.macs == count_macs(core, torch.zeros(1, 1, 64, 64)) * PIXELS // 64**2


def test_a_model_that_needs_two_images_is_measured_with_two():
    cost = measure_cost(component(lambda o, c: Pooled(c.classes)), NoOptions())
    assert (cost.batch, cost.divisor, cost.minimum, cost.reason) == (2, 16, 48, "")
    assert cost.macs == CLASSES * PIXELS
    assert cost.memory > 2 * 4 * PIXELS * (1 + 5 * CLASSES)


def test_weights_are_never_downloaded():
    seen = []

    def build(options, context):
        seen.append(options)
        return nn.Conv2d(1, context.classes, 1)

    measure_cost(component(build, Weighted), Weighted(pretrained=True, width=9))
    assert seen == [Weighted(pretrained=False, width=9)]


def test_what_cannot_run_without_numbers_says_why():
    cost = measure_cost(component(lambda o, c: Branching(1, c.classes, 1)), NoOptions())
    assert (cost.parameters, cost.macs, cost.memory) == (2 * CLASSES, None, None)
    assert cost.reason.startswith("not measured on tensors without numbers: RuntimeError: ")
    assert "\n" not in cost.reason
    assert len(cost.reason) < 240


def test_a_step_that_fails_leaves_the_forward_pass():
    def build(options, context):
        model = Pooled(context.classes)
        model.minimum_batch = 1  # which is not so
        return model

    cost = measure_cost(component(build), NoOptions())
    assert (cost.macs, cost.memory) == (CLASSES * PIXELS, None)
    assert "ValueError: Expected more than 1 value per channel when training" in cost.reason


def test_a_builder_that_reads_its_weights_builds_for_real():
    def build(options, context):
        model = nn.Conv2d(1, context.classes, 1)
        assert float(model.weight.detach().abs().sum()) > 0
        return model

    cost = measure_cost(component(build), NoOptions())
    assert (cost.parameters, cost.macs, cost.reason) == (2 * CLASSES, CLASSES * PIXELS, "")


@pytest.mark.parametrize(
    ("build", "sentence"),
    [
        (
            lambda o, c: 1 / 0,
            "model 'tried' of odd 1.0 cannot be built: ZeroDivisionError: division by zero.",
        ),
        (lambda o, c: "net", "model 'tried' of odd built a str; expected a torch.nn.Module."),
    ],
)
def test_a_model_that_cannot_be_built_is_one_sentence(build, sentence):
    with pytest.raises(HandboneError) as caught:
        measure_cost(component(build), NoOptions())
    assert str(caught.value) == sentence


def test_a_builders_own_sentence_is_kept():
    def build(options, context):
        raise HandboneError("no such encoder.")

    with pytest.raises(HandboneError, match=r"^no such encoder\.$"):
        measure_cost(component(build), NoOptions())
