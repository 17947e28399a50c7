from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from handbone_cli import TtaContext
from handbone_tta.rot90 import Rot90Options, build


def rot90(turns):
    return build(Rot90Options(turns=turns), TtaContext())


def test_turns_counter_clockwise():
    image = torch.arange(6.0).view(1, 1, 2, 3)
    assert rot90(1).augment(image)[0, 0].tolist() == [[2, 5], [1, 4], [0, 3]]


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("size", [(1, 1), (5, 8), (8, 5), (7, 7)])
def test_restore_undoes_augment_exactly(turns, size):
    maps = torch.randn(2, 3, *size)
    assert torch.equal(rot90(turns).restore(rot90(turns).augment(maps), size), maps)


@pytest.mark.parametrize("turns", [0, 4, -1, 1.5])
def test_other_turns_are_refused(turns):
    with pytest.raises(ValidationError, match="1, 2 or 3"):
        Rot90Options(turns=turns)
