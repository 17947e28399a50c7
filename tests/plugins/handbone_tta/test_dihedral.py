from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError

from handbone_cli import TtaContext
from handbone_tta import dihedral
from handbone_tta.dihedral import Rot90Options

SIZES = [(1, 1), (5, 8), (8, 5), (7, 7), (1, 6)]


def rot90(turns):
    return dihedral.build_rot90(Rot90Options(turns=turns), TtaContext())


def named(name):
    return getattr(dihedral, f"build_{name}")(None, TtaContext())


EIGHT = [dihedral.Dihedral(), *named("flip_rotate")]


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        (named("hflip"), [[2, 1, 0], [5, 4, 3]]),
        (named("vflip"), [[3, 4, 5], [0, 1, 2]]),
        (rot90(1), [[2, 5], [1, 4], [0, 3]]),
        (rot90(2), [[5, 4, 3], [2, 1, 0]]),
        (rot90(3), [[3, 0], [4, 1], [5, 2]]),
        (named("rot180"), [[5, 4, 3], [2, 1, 0]]),
        (named("rot270"), [[3, 0], [4, 1], [5, 2]]),
    ],
)
def test_where_pixels_go(view, expected):
    """Turns are counter-clockwise."""
    image = torch.arange(6.0).view(1, 1, 2, 3)
    assert view.augment(image)[0, 0].tolist() == expected


def test_a_set_has_every_view_of_it_once():
    assert named("flip") == [named("hflip"), named("vflip"), named("rot180")]
    image = torch.arange(9.0).view(1, 1, 3, 3)
    seen = {tuple(view.augment(image).flatten().tolist()) for view in named("flip_rotate")}
    turned = {tuple(image.rot90(k, (-2, -1)).flatten().tolist()) for k in range(4)}
    mirrored = {tuple(image.flip(-1).rot90(k, (-2, -1)).flatten().tolist()) for k in range(4)}
    assert seen == (turned | mirrored) - {tuple(image.flatten().tolist())}
    assert len(named("flip_rotate")) == len(seen) == 7


@pytest.mark.parametrize("view", EIGHT, ids=str)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.uint8])
def test_restore_undoes_augment_to_the_bit(view, size, dtype):
    maps = (torch.randn(2, 3, *size) * 50 + 100).to(dtype)
    before = maps.clone()
    seen = view.augment(maps)
    assert seen.is_contiguous()
    assert seen.data_ptr() != maps.data_ptr()
    assert torch.equal(view.restore(seen, size), maps)
    assert torch.equal(maps, before)


@pytest.mark.parametrize("view", EIGHT, ids=str)
def test_a_mirror_is_what_no_turn_does(view):
    image = torch.arange(6.0).view(1, 1, 2, 3)
    turns = [image.rot90(k, (-2, -1)) for k in range(4)]
    seen = view.augment(image)
    assert view.mirrored is not any(torch.equal(seen, turned) for turned in turns)


def test_a_view_is_the_same_by_whatever_name():
    assert rot90(2) == named("rot180")
    assert rot90(3) == named("rot270")
    assert len(set(EIGHT)) == 8


@pytest.mark.parametrize("turns", [0, 4, -1, 1.5])
def test_other_turns_are_refused(turns):
    with pytest.raises(ValidationError, match="1, 2 or 3"):
        Rot90Options(turns=turns)
