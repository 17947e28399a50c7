from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import Component, Registry, installed
from handbone_cli.networks.build import build_tta
from handbone_cli.prediction.predictor import Predictor, Prepared
from handbone_cli.recipe.schema import ComponentSection

NAMES = ("left_ulna", "carpus", "right_ulna")
PAIRS = (("left_ulna", "right_ulna"),)


def sections(*said):
    return [ComponentSection(name=name, **options) for name, options in said]


def build(*said, registry=None, pairs=()):
    return build_tta(sections(*said), registry or installed(), NAMES, pairs)


def register(**builders):
    registry = Registry()
    for name, builder in builders.items():
        registry.add(Component("tta", name, builder, None, "", 1, "acme", "1.0"))
    return registry


class Plain:
    """A view as they were before sets and sides."""

    def augment(self, images):
        return images + 0

    def restore(self, maps, size):
        return maps


class Pair(NamedTuple):
    """A view that happens to be a sequence."""

    first: int = 0

    def augment(self, images):
        return images

    def restore(self, maps, size):
        return maps


@dataclass(frozen=True)
class Holding:
    """A view that cannot be hashed."""

    values: list

    def augment(self, images):
        return images

    def restore(self, maps, size):
        return maps


@pytest.mark.parametrize(
    ("said", "count"),
    [
        ([("hflip", {})], 1),
        ([("flip", {})], 3),
        ([("flip_rotate", {}), ("scale", {"factor": 0.5})], 8),
        ([("multi_scale", {"factors": [0.5, 2]}), ("rotate", {"degrees": 5})], 3),
        ([], 0),
    ],
)
def test_a_set_becomes_its_views(said, count):
    views = build(*said)
    assert len(views) == count
    assert all(view.restore(view.augment(torch.rand(1, 3, 9, 6)), (9, 6)).ndim == 4
               for view in views)  # fmt: skip


def test_a_view_that_is_a_sequence_is_one_view():
    registry = register(pair=lambda o, c: Pair(), several=lambda o, c: (Plain(), Plain()))
    assert build(("pair", {}), registry=registry) == [Pair()]
    assert len(build(("several", {}), registry=registry)) == 2


@pytest.mark.parametrize(
    ("built", "kind"), [("views", "str"), ([], "list"), ([Plain(), 5], "list"), (None, "NoneType")]
)
def test_what_is_no_view_is_one_sentence(built, kind):
    with pytest.raises(HandboneError) as caught:
        build(("odd", {}), registry=register(odd=lambda o, c: built))
    assert str(caught.value) == (
        f"TTA transform 'odd' of acme built a {kind}; expected a view, which has augment and "
        "restore, or a list of them."
    )


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ([("hflip", {}), ("flip", {})], "'hflip' and 'flip' make the same view"),
        ([("flip", {}), ("rot90", {"turns": 2})], "'flip' and 'rot90' make the same view"),
        ([("vflip", {}), ("vflip", {})], "'vflip' makes one view twice"),
        ([("multi_scale", {"factors": [0.5, 0.5]})], "'multi_scale' makes one view twice"),
        (
            [("scale", {"factor": 1.25}), ("multi_scale", {})],
            "'scale' and 'multi_scale' make the same view",
        ),
    ],
)
@pytest.mark.parametrize("pairs", [(), PAIRS])
def test_a_view_that_is_there_twice_is_one_sentence(said, sentence, pairs):
    with pytest.raises(HandboneError) as caught:
        build(*said, pairs=pairs)
    assert str(caught.value) == (
        f"tta: {sentence}, which would count twice in the mean; leave one out."
    )


def test_views_that_do_not_compare_are_never_the_same():
    registry = register(plain=lambda o, c: Plain(), holding=lambda o, c: Holding([1]))
    both = [("plain", {}), ("holding", {})]
    assert len(build(*both, *both, registry=registry)) == 4


class Sides(nn.Module):
    """Finds the letter L, however it lies, as class 0, its mirror image as class 2, dots as 1."""

    def forward(self, images):
        letter = torch.tensor([[0.0, 1, 0], [0, 1, 0], [0, 1, 1]]) * 2 - 1
        left = [letter.rot90(turns) for turns in range(4)]
        kernels = torch.stack([*left, *(kernel.flip(-1) for kernel in left)])[:, None]
        found = functional.conv2d(images, kernels, padding=1).unflatten(1, (2, 4)).amax(2)
        return 8 * (torch.stack([found[:, 0], images[:, 0] * 4, found[:, 1]], dim=1) - 3)


def film():
    """Two letters on the left and one on the right, of both sides, and a dot."""
    grey = np.zeros((20, 31), np.float32)
    letter = np.array([[1, 0], [1, 0], [1, 1]], np.float32)
    grey[2:5, 3:5] = letter
    grey[9:12, 8:10] = letter[:, ::-1]
    grey[13:15, 20:23] = np.rot90(letter)
    grey[4, 26] = 1
    return grey


def predict(views):
    def prepare(grey):
        return Prepared(grey[None], grey.shape, (0, grey.shape[0], 0, grey.shape[1]))

    box = (0, 20, 0, 31)
    predicted = Predictor(Sides().eval(), 3, prepare, None, views).predict(film())
    return np.stack([predicted.crop(index, box) for index in range(3)])


MIRRORS = ("hflip", "vflip", "flip", "flip_rotate")


@pytest.mark.parametrize("name", [*MIRRORS, "rot90", "rot180", "rot270"])
def test_sides_change_places_in_mirrored_views_alone(name):
    """To a network that tells sides by their shape, no view says anything new."""
    plain = predict(())
    assert (plain > 200).sum(axis=(1, 2)).tolist() == [2, 13, 1]
    with_sides, without = (predict(build((name, {}), pairs=pairs)) for pairs in (PAIRS, ()))
    assert np.array_equal(with_sides, plain)
    assert np.array_equal(without, plain) == (name not in MIRRORS)
    assert np.array_equal(without[1], plain[1])


def test_a_view_that_does_not_say_whether_it_mirrors():
    registry = register(plain=lambda o, c: Plain())
    assert len(build(("plain", {}), registry=registry)) == 1
    with pytest.raises(HandboneError) as caught:
        build(("plain", {}), registry=registry, pairs=PAIRS)
    assert str(caught.value) == (
        "TTA transform 'plain' of acme does not say whether it mirrors, and 'left_ulna' and "
        "'right_ulna' change places in a mirror; expected an attribute mirrored, true or false, or "
        "take the view out."
    )


def test_a_pair_that_is_not_of_the_model():
    with pytest.raises(HandboneError) as caught:
        build(("hflip", {}), pairs=[("left_ulna", "right_radius")])
    assert str(caught.value) == (
        "the dataset's mirror pair 'left_ulna', 'right_radius' is not two of the model's classes; "
        "predict with the dataset that the run was trained on."
    )
