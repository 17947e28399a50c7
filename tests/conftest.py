"""Fixtures that many tests share: tiny hands on disk and one trained run."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Small tensors are slower on many threads, and xdist's workers share the cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Prepared images of tests never reach the user's cache."""
    os.environ["HANDBONE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@dataclass(frozen=True)
class TinyData:
    """A dataset in the competition's layout and a recipe file for it."""

    root: Path
    recipe: Path


@dataclass(frozen=True)
class TrainedRun:
    """A run with its stores of the people left out and of the test people."""

    run: Path
    val: Path
    test: Path
    data: TinyData
    out: str
    err: str


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory):
    from handbone_cli.testing import tiny_recipe, write_tiny_hands

    folder = tmp_path_factory.mktemp("tiny")
    root = write_tiny_hands(folder / "hands")
    (folder / "tiny.toml").write_text(tiny_recipe(root))
    return TinyData(root, folder / "tiny.toml")


@pytest.fixture(scope="session")
def trained_run(tiny_data, tmp_path_factory):
    """About 4 s, once a session; read-only for tests."""
    from handbone_cli.testing import hb

    folder = tmp_path_factory.mktemp("trained")
    run, val, test = (folder / name for name in ("run", "val", "test"))
    trained = hb("train", tiny_data.recipe, "-o", run)
    assert trained.code == 0, trained.err
    for split, store in (("val", val), ("test", test)):
        predicted = hb("predict", run, "-i", split, "-o", store)
        assert predicted.code == 0, predicted.err
    return TrainedRun(run, val, test, tiny_data, trained.out, trained.err)
