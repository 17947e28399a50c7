"""What the commands' tests start from: a second run, and an ensemble of the two."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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
