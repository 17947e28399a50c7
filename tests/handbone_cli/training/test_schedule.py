from __future__ import annotations

import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from handbone_cli.errors import HandboneError
from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.schedule import count_plateaus, learning_rate, refuse_schedule


def recipe(name="cosine", warmup=0.0, epochs=10, lr=1.0, train=None, **keys):
    return Recipe.model_validate({
        "name": "r", "model": {"name": "m"}, "loss": {"name": "l"}, "optimizer": {"lr": lr},
        "scheduler": {"name": name, "warmup_epochs": warmup, **keys},
        "train": {"epochs": epochs, **(train or {})},
    })  # fmt: skip


def rates(setting, first, last, history=()):
    return [learning_rate(setting, step, 10, history) for step in range(first, last)]


def torchs(make, steps, lr=0.3):
    """The rates of so many steps by one of torch's schedulers, stepped after every batch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=lr)
    schedule, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own use of a deprecated argument
            schedule.step()
    return found


@pytest.mark.parametrize(
    ("setting", "step", "expected"),
    [
        (recipe("none"), 0, 1.0),
        (recipe("none"), 99, 1.0),
        (recipe("none", 1), 4, 0.01 + 0.99 * 0.5),
        (recipe("none", 1), 9, 1.0),
        (recipe(), 0, 1.0),
        (recipe(), 50, 0.5),
        (recipe(), 99, 0.000246),
        (recipe(), 100, 0.0),
        (recipe(warmup=2), 0, 0.01 + 0.99 / 20),
        (recipe(warmup=2), 20, 1.0),
        (recipe(warmup=2), 60, 0.5),
        (recipe(warmup=0.5), 4, 1.0),
        (recipe(warmup=50), 99, 0.01 + 0.99 * 100 / 500),
    ],
)
def test_the_rate_of_a_step(setting, step, expected):
    assert learning_rate(setting, step, 10) == pytest.approx(expected, abs=1e-6)


CURVES = {
    "cosine": ({}, lr_scheduler.CosineAnnealingLR),
    "cosine to a floor": (
        {"min_lr": 0.02},
        lambda o, n: lr_scheduler.CosineAnnealingLR(o, n, eta_min=0.02),
    ),
    "step": (
        {"step_epochs": 3, "factor": 0.5},
        lambda o, n: lr_scheduler.StepLR(o, 30, gamma=0.5),
    ),
    "step at thirds": ({}, lambda o, n: lr_scheduler.StepLR(o, -(-n // 3), gamma=0.1)),
    "poly": ({}, lambda o, n: lr_scheduler.PolynomialLR(o, n, power=0.9)),
    "poly of two": ({"power": 2}, lambda o, n: lr_scheduler.PolynomialLR(o, n, power=2)),
    "one_cycle": ({}, lambda o, n: lr_scheduler.OneCycleLR(o, 0.3, n)),
    "one_cycle otherwise": (
        {"pct_start": 0.6, "div_factor": 5, "final_div_factor": 20},
        lambda o, n: lr_scheduler.OneCycleLR(o, 0.3, n, 1, 1, 0.6, div_factor=5,
                                             final_div_factor=20),
    ),
    "none": ({}, lambda o, n: lr_scheduler.ConstantLR(o, 1.0, n)),
}  # fmt: skip


@pytest.mark.parametrize("warmup", [0, 2])
@pytest.mark.parametrize("case", CURVES)
def test_each_curve_is_torchs_after_the_warmup(case, warmup):
    keys, make = CURVES[case]
    setting = recipe(case.split()[0], warmup, lr=0.3, **keys)
    steps = 100 - 10 * warmup
    expected = torchs(lambda optimizer: make(optimizer, steps), steps)
    assert rates(setting, 10 * warmup, 100) == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", ["cosine", "step", "plateau", "poly", "none"])
def test_every_warmup_is_one_line_up_to_lr(name):
    setting = recipe(name, 2, lr=0.3)
    expected = [0.3 * (0.01 + 0.99 * (step + 1) / 20) for step in range(20)]
    assert rates(setting, 0, 20) == expected
    assert learning_rate(setting, 20, 10) == 0.3


def test_the_warmup_of_one_cycle_ends_where_the_cycle_begins():
    setting = recipe("one_cycle", 1, lr=0.3)
    assert rates(setting, 0, 10) == pytest.approx(
        [0.3 * (0.01 + (1 / 25 - 0.01) * (step + 1) / 10) for step in range(10)]
    )
    assert learning_rate(setting, 10, 10) == pytest.approx(0.3 / 25)
    assert max(rates(setting, 10, 100)) == pytest.approx(0.3, rel=1e-2)


@pytest.mark.parametrize("epochs", [1, 2])
@pytest.mark.parametrize("name", ["cosine", "step", "poly", "one_cycle", "none", "plateau"])
def test_a_run_of_a_step_or_two(name, epochs):
    setting = recipe(name, epochs=epochs)
    assert all(0 <= learning_rate(setting, step, 1) <= 1 for step in range(epochs + 1))


def test_one_cycle_whose_peak_is_the_first_step():
    setting = recipe("one_cycle", epochs=4, pct_start=0.25)
    assert learning_rate(setting, 0, 1) == 1.0


@pytest.mark.parametrize("patience", [0, 1, 2, 3])
@pytest.mark.parametrize("factor", [0.1, 0.5])
def test_a_plateau_is_torchs(patience, factor):
    draw = torch.Generator().manual_seed(patience)
    dice = torch.rand(60, generator=draw).double().cummax(0).values
    dice = [float(value) for value in dice - 0.3 * torch.rand(60, generator=draw)]
    dice[5] = dice[4]  # as good is no gain
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = lr_scheduler.ReduceLROnPlateau(
        optimizer, "max", factor=factor, patience=patience, threshold=0.0, eps=0.0
    )
    setting = recipe("plateau", epochs=99, factor=factor, patience=patience)
    for count, value in enumerate(dice, 1):
        schedule.step(value)
        got = learning_rate(setting, 10 * count, 10, dice[:count])
        assert got == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
    assert optimizer.param_groups[0]["lr"] < 1


def test_plateaus_are_counted():
    assert count_plateaus([], 0) == 0
    assert count_plateaus([0.5], 0) == 0
    assert count_plateaus([0.5, 0.5], 0) == 1
    assert count_plateaus([0.5, 0.4, 0.4, 0.6, 0.6, 0.6], 1) == 2
    assert count_plateaus([0.5, 0.4, 0.4, 0.4], 1) == 1


def test_validations_of_the_warmup_are_no_plateau():
    falling = [0.9, 0.8, 0.7, 0.6, 0.5]
    setting = recipe("plateau", warmup=4, patience=0, factor=0.5)
    assert learning_rate(setting, 49, 10, falling[:4]) == 1.0
    assert learning_rate(setting, 50, 10, falling) == 1.0
    assert learning_rate(setting, 60, 10, [*falling, 0.4]) == 0.5
    assert learning_rate(setting, 5, 10, falling) == pytest.approx(0.01 + 0.99 * 6 / 40)
    rare = recipe("plateau", warmup=4, patience=0, factor=0.5, train={"val_every": 2})
    assert learning_rate(rare, 80, 10, falling[:4]) == 0.5


@pytest.mark.parametrize(
    ("setting", "validates", "said"),
    [
        (recipe(min_lr=1.0), True,
         "scheduler.min_lr 1 must be less than optimizer.lr 1, from which the rate falls to it."),
        (recipe("plateau"), False,
         ("scheduler.name: plateau goes by the Dice of people left out, and there are none; choose "
         "another scheduler.")),
        (recipe("plateau", patience=4), True,
         ("scheduler.patience 4 lowers the rate after 5 validations without gain, and "
         "train.early_stopping ends the run after 5; lower the one or raise the other (0: never "
         "stop).")),
    ],
)  # fmt: skip
def test_a_scheduler_that_cannot_act_is_refused(setting, validates, said):
    with pytest.raises(HandboneError) as caught:
        refuse_schedule(setting, validates=validates)
    assert str(caught.value) == said


def test_schedulers_that_can_act():
    refuse_schedule(recipe(min_lr=0.99), validates=False)
    refuse_schedule(recipe("plateau", patience=3), validates=True)
    refuse_schedule(recipe("plateau", patience=9, train={"early_stopping": 0}), validates=True)
