from __future__ import annotations

import pytest
import torch

from handbone_cli import TtaContext
from handbone_tta.flips import build_hflip, build_vflip


@pytest.mark.parametrize(
    ("build", "expected"),
    [(build_hflip, [[2, 1, 0], [5, 4, 3]]), (build_vflip, [[3, 4, 5], [0, 1, 2]])],
)
def test_mirrors_along_its_axis(build, expected):
    image = torch.arange(6.0).view(1, 1, 2, 3)
    assert build(None, TtaContext()).augment(image)[0, 0].tolist() == expected


@pytest.mark.parametrize("build", [build_hflip, build_vflip])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (8, 5), (7, 7)])
def test_restore_undoes_augment_exactly(build, size):
    view = build(None, TtaContext())
    maps = torch.randn(2, 3, *size)
    assert torch.equal(view.restore(view.augment(maps), size), maps)
