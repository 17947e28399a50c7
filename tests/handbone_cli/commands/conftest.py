"""What the commands' tests start from: a second run, an ensemble of the two, overlapping bones."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

if TYPE_CHECKING:
    from pathlib import Path


class SecondRun(NamedTuple):
    run: Path
    val: Path
    test: Path


class Weighed(NamedTuple):
    decision: Path
    out: str


class OverlappingRun(NamedTuple):
    run: Path
    val: Path
    err: str


@pytest.fixture(scope="session")
def second_run(tiny_data, tmp_path_factory):
    """About 3 s: another seed, one epoch."""
    from handbone_cli.testing import hb

    folder = tmp_path_factory.mktemp("second")
    made = SecondRun(*(folder / name for name in ("run", "val", "test")))
    sets = ("--set", "seed=3", "--set", "optimizer.lr=0.01", "--set", "name=second")
    trained = hb("train", tiny_data.recipe, *sets, "-o", made.run)
    assert trained.code == 0, trained.err
    for split, store in (("val", made.val), ("test", made.test)):
        assert hb("predict", made.run, "-i", split, "-o", store).code == 0
    return made


@pytest.fixture(scope="session")
def weighed(trained_run, second_run, tmp_path_factory):
    from handbone_cli.testing import hb

    path = tmp_path_factory.mktemp("weighed") / "ensemble.toml"
    done = hb("ensemble", "optimize", trained_run.val, second_run.val, "--per-class", "-o", path)
    assert done.code == 0, done.err
    return Weighed(path, done.out)


@pytest.fixture(scope="session")
def overlapping_run(tmp_path_factory):
    """About 3 s: one epoch on hands whose finger-1 is small and whose Ulna lies over Radius."""
    from handbone_cli.testing import hb, tiny_recipe, write_tiny_hands

    folder = tmp_path_factory.mktemp("overlapping")
    root = write_tiny_hands(folder / "hands", test_people=0)
    for path in root.glob("train/outputs_json/*/*.json"):
        content = json.loads(path.read_text())
        outlines = {each["label"]: each for each in content["annotations"]}
        small, radius = (np.array(outlines[name]["points"]) for name in ("finger-1", "Radius"))
        middle = small.mean(axis=0)
        outlines["finger-1"]["points"] = np.rint(middle + (small - middle) / 2).tolist()
        outlines["Ulna"]["points"] = (radius - (6, 0)).tolist()
        path.write_text(json.dumps(content))
    recipe = folder / "overlapping.toml"
    recipe.write_text(
        tiny_recipe(root, train={"epochs": 1, "early_stopping": 3, "min_delta": 0.01})
    )
    trained = hb("train", recipe, "-o", folder / "run")
    assert trained.code == 0, trained.err
    assert hb("predict", folder / "run", "-i", "val", "-o", folder / "val").code == 0
    return OverlappingRun(folder / "run", folder / "val", trained.err)
