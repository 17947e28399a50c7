from __future__ import annotations

import pytest

from handbone_cli.recipe.schema import Recipe
from handbone_cli.training.schedule import learning_rate


def recipe(name="cosine", warmup=0.0, epochs=10):
    return Recipe.model_validate({
        "name": "r", "model": {"name": "m"}, "loss": {"name": "l"}, "optimizer": {"lr": 1.0},
        "scheduler": {"name": name, "warmup_epochs": warmup}, "train": {"epochs": epochs},
    })  # fmt: skip


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
