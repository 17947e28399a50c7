"""The learning rate as a function of the step alone, so that resuming needs no state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handbone_cli.recipe.schema import Recipe

WARMUP_START = 0.01


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """The rate of a step (from 0): linear warmup from 1 % of lr, then a cosine to 0, or constant.

    Source: Loshchilov and Hutter, SGDR, 2017, without restarts.
    """
    base, schedule = recipe.optimizer.lr, recipe.scheduler
    warmup = round(schedule.warmup_epochs * steps_per_epoch)
    if step < warmup:
        return base * (WARMUP_START + (1 - WARMUP_START) * (step + 1) / warmup)
    if schedule.name == "none":
        return base
    left = max(recipe.train.epochs * steps_per_epoch - warmup, 1)
    return base * 0.5 * (1 + math.cos(math.pi * min((step - warmup) / left, 1)))
