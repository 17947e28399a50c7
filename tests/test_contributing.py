"""The plugins that CONTRIBUTING.md shows work: one of each kind, registered, built and used."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from handbone_cli import (
    DatasetContext,
    LoaderContext,
    LossContext,
    ModelContext,
    PostContext,
    PreprocessContext,
    TrackerContext,
    TtaContext,
)
from handbone_cli.host.hookspecs import KINDS
from handbone_cli.host.interfaces import NoOptions, Patch
from handbone_cli.testing import (
    check_loss,
    check_model,
    check_postprocessor,
    check_preprocessor,
    check_tta,
)

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)


def build(kind, context, **values):
    code = next(block for block in BLOCKS if f"def handbone_{kind}(" in block)
    module = {"__name__": f"contributing_{kind}"}
    exec(code, module)  # our own page
    built = []

    def register(name, factory, *, options=NoOptions, summary, divisor=1):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert summary
        assert divisor == 1
        built.append(factory(options(**values), context))

    module[f"handbone_{kind}"](register)
    (component,) = built
    return component


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_shown_once(kind):
    assert sum(f"def handbone_{kind}(" in block for block in BLOCKS) == 1


def test_model():
    context = ModelContext(classes=3, in_channels=1, patch=(6, 8))
    check_model(lambda _options, context: build("models", context), None, context)


def test_dataset(tmp_path):
    import cv2

    (tmp_path / "train").mkdir()
    grey = np.arange(64, dtype=np.uint8).reshape(8, 8)
    assert cv2.imwrite(str(tmp_path / "train" / "anna_left.png"), grey)
    dataset = build("datasets", DatasetContext(tmp_path))
    (sample,) = dataset.samples("train")
    assert (sample.image_id, sample.person) == ("anna_left", "anna")
    assert np.array_equal(sample.read_image(), grey)
    assert (list(dataset.samples("test")), dataset.problems()) == ([], [])


def test_loss():
    loss = build("losses", LossContext(("Radius", "Ulna"), dict), smooth=1e-6)
    check_loss(loss)
    labels = torch.full((1, 4, 4, 1), 0b01, dtype=torch.uint8)
    right = torch.tensor([20.0, -20.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    assert loss(right[:, :1], labels) < 1e-3
    assert loss(-right[:, :1], labels) > 0.999


def test_tta():
    view = build("tta", TtaContext())
    check_tta(view)
    assert view.augment(torch.rand(1, 1, 4, 6)).shape == (1, 1, 6, 4)


def test_post_processor():
    close = build("postprocessors", PostContext(), size=3)
    check_postprocessor(close)
    mask = np.ones((9, 9), np.bool_)
    mask[4, 4] = False
    closed = close(mask, "Radius")
    assert closed.dtype == np.bool_
    assert closed.all()


class Patches:
    def __len__(self):
        return 5

    def patch(self, epoch, index):
        return Patch(np.full((1, 2, 2), index, np.float32), np.full((2, 2, 1), epoch, np.uint8))


def test_loader():
    loader = build("loaders", LoaderContext(Patches(), batch_size=2, workers=0, seed=0))
    assert len(loader) == 2
    ((images, labels),) = loader.epoch(7, start=1)
    assert images[:, 0, 0, 0].tolist() == [2, 3]
    assert (labels.dtype, labels.unique().tolist()) == (torch.uint8, [7])


def test_tracker(tmp_path):
    tracker = build("trackers", TrackerContext(tmp_path, "first"))
    tracker.log("epoch", {"epoch": 1, "mean_dice": 0.5})
    tracker.close()
    assert (tmp_path / "progress.txt").read_text() == "epoch 1: 0.5\n"


def test_the_preprocessor():
    trim = build("preprocessors", PreprocessContext(), rows=5)
    check_preprocessor(trim)
    assert trim(np.zeros((40, 30), np.uint8))[1] == (5, 35, 0, 30)
