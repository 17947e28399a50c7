"""The learning rate as a function of the step and past validations: resuming needs no state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from handbone_cli.recipe.schema import Recipe, Scheduler

WARMUP_START = 0.01
STEPS_OF_A_RUN = 3
"""Parts of a run of one rate each, where scheduler.step_epochs is not said."""


def learning_rate(
    recipe: Recipe, step: int, steps_per_epoch: int, history: Sequence[float] = ()
) -> float:
    """The rate of a step (from 0): linear warmup from 1 % of lr, then the scheduler's curve.

    The warmup rises to where the curve begins: to lr, but for one_cycle to lr / div_factor.

    Args:
        recipe: what is trained, and how long.
        step: steps since the run began, over all epochs.
        steps_per_epoch: batches of an epoch.
        history: mean Dice of every validation so far, which plateau alone looks at.
    """
    base, schedule = recipe.optimizer.lr, recipe.scheduler
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    left = max(recipe.train.epochs * steps_per_epoch - warmup, 1)
    if schedule.name == "plateau":
        counted = history[_warmup_validations(recipe) :]
        factor = schedule.factor or 1
        share = factor ** count_plateaus(counted, schedule.patience or 0)
        first = 1.0
    else:
        curve = _CURVES[schedule.name](schedule, base, left, steps_per_epoch)
        share, first = curve(min(max(step - warmup, 0), left)), curve(0)
    if step < warmup:
        return base * (WARMUP_START + (first - WARMUP_START) * (step + 1) / warmup)
    return base * share


def count_plateaus(history: Sequence[float], patience: int) -> int:
    """How often a rate is lowered: every time `patience` + 1 validations bring no gain.

    Source: torch.optim.lr_scheduler.ReduceLROnPlateau, mode max, threshold and cooldown 0.
    """
    best, bad, lowered = -math.inf, 0, 0
    for dice in history:
        bad = 0 if dice > best else bad + 1
        best = max(best, dice)
        if bad > patience:
            bad, lowered = 0, lowered + 1
    return lowered


def refuse_schedule(recipe: Recipe, *, validates: bool) -> None:
    """One sentence for a scheduler that cannot act in this run.

    Args:
        recipe: what is to be trained.
        validates: whether there are people left out.
    """
    schedule, stop = recipe.scheduler, recipe.train.early_stopping
    if schedule.min_lr is not None and schedule.min_lr >= recipe.optimizer.lr:
        raise HandboneError(
            f"scheduler.min_lr {schedule.min_lr:g} must be less than optimizer.lr "
            f"{recipe.optimizer.lr:g}, from which the rate falls to it."
        )
    if schedule.name == "plateau" and not validates:
        raise HandboneError(
            "scheduler.name: plateau goes by the Dice of people left out, and there are none; "
            "choose another scheduler."
        )
    if schedule.patience is not None and 0 < stop <= schedule.patience + 1:
        raise HandboneError(
            f"scheduler.patience {schedule.patience} lowers the rate after {schedule.patience + 1} "
            f"validations without gain, and train.early_stopping ends the run after {stop}; "
            "lower the one or raise the other (0: never stop)."
        )


def _warmup_validations(recipe: Recipe) -> int:
    """How many validations fall into the warmup; what they miss is not the rate's fault."""
    return int(recipe.scheduler.warmup_epochs // recipe.train.val_every)


def _none(*_: object) -> Callable[[int], float]:
    return lambda _step: 1.0


def _cosine(schedule: Scheduler, base: float, left: int, _: int) -> Callable[[int], float]:
    """To min_lr. Source: Loshchilov and Hutter, SGDR, 2017, without restarts."""
    least = (schedule.min_lr or 0.0) / base
    return lambda step: least + (1 - least) * 0.5 * (1 + math.cos(math.pi * (step / left)))


def _step(schedule: Scheduler, _: float, left: int, epoch: int) -> Callable[[int], float]:
    """Times `factor` every so many epochs, or at thirds of the run."""
    said = schedule.step_epochs
    length = said * epoch if said else math.ceil(left / STEPS_OF_A_RUN)
    factor = schedule.factor or 1
    return lambda step: float(factor ** (min(step, left - 1) // length))


def _poly(schedule: Scheduler, _: float, left: int, __: int) -> Callable[[int], float]:
    """To 0 by a power. Source: Liu, Rabinovich and Berg, ParseNet, 2015; used by DeepLab."""
    power = schedule.power or 1
    return lambda step: float((1 - step / left) ** power)


def _one_cycle(schedule: Scheduler, _: float, left: int, __: int) -> Callable[[int], float]:
    """Up to lr and down far below its beginning, along cosines; momentum stays as it is.

    Source: Smith, A disciplined approach to neural network hyper-parameters, 2018; with cosines
    and these factors as torch.optim.lr_scheduler.OneCycleLR.
    """
    first = 1 / (schedule.div_factor or 1)
    last = first / (schedule.final_div_factor or 1)
    peak = (schedule.pct_start or 0) * left - 1

    def share(step: int) -> float:
        if step < peak:
            return _between(first, 1, step / peak)
        return _between(1, last, min((step - peak) / (left - 1 - peak), 1))

    return share


def _between(start: float, end: float, part: float) -> float:
    """From start at 0 to end at 1 along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))


_CURVES: dict[str, Callable[[Scheduler, float, int, int], Callable[[int], float]]] = {
    "none": _none,
    "cosine": _cosine,
    "step": _step,
    "poly": _poly,
    "one_cycle": _one_cycle,
}
"""Scheduler's name -> (its keys, lr, steps after the warmup, steps of an epoch) -> share of lr at a
step after the warmup."""
