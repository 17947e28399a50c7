from __future__ import annotations

import math

import pytest
import torch
from pydantic import ValidationError

from handbone_cli import TtaContext
from handbone_tta.rotate import RotateOptions, build

SIZES = [(41, 57), (64, 32), (33, 33), (1, 20), (1, 1)]


def rotate(degrees):
    return build(RotateOptions(degrees=degrees), TtaContext())


def disc(size, centre, radius, softness=1.5):
    """(1, 1, h, w) probabilities of a disc with a soft edge."""
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    distance = ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2).sqrt()
    return torch.sigmoid((radius - distance) / softness)[None, None]


def centroid(plane):
    axes = torch.meshgrid(*(torch.arange(length) for length in plane.shape), indexing="ij")
    return [float((axis * plane).sum() / plane.sum()) for axis in axes]


@pytest.mark.parametrize("degrees", [10.0, -10.0])
def test_turns_counter_clockwise_about_the_middle(degrees):
    size = (81, 101)
    seen = rotate(degrees).augment(disc(size, (40, 70), 6, 0.5))
    row, column = centroid(seen[0, 0])
    height, width = seen.shape[-2:]
    angle = math.radians(degrees)
    assert row - (height - 1) / 2 == pytest.approx(-20 * math.sin(angle), abs=0.1)
    assert column - (width - 1) / 2 == pytest.approx(20 * math.cos(angle), abs=0.1)


@pytest.mark.parametrize("degrees", [0.5, 5.0, -20.0, 45.0])
@pytest.mark.parametrize("size", SIZES)
def test_no_pixel_is_lost(degrees, size):
    """The view holds all of the image: what fills the one fills the other, its corners too."""
    view = rotate(degrees)
    seen = view.augment(torch.rand(1, 1, *size))
    back = view.restore(torch.ones(1, 3, *seen.shape[-2:]), size)
    assert back.shape == (1, 3, *size)
    assert torch.allclose(back, torch.ones_like(back), atol=1e-5)


@pytest.mark.parametrize("degrees", [5.0, -20.0, 45.0])
@pytest.mark.parametrize("size", [(41, 57), (64, 32), (33, 33)])
def test_what_lies_outside_the_image_reaches_no_pixel_of_it(degrees, size):
    """Only the view's pixels next to a pixel of the image are read; its corners are not."""
    view = rotate(degrees)
    flat = torch.full((1, 1, *size), 0.5)
    inside = view.augment(flat)
    assert torch.allclose(inside, torch.full_like(inside, 0.5), atol=1e-6)
    spoilt = inside.clone()
    spoilt[..., 0, 0] = spoilt[..., -1, -1] = spoilt[..., 0, -1] = spoilt[..., -1, 0] = 9.0
    assert torch.allclose(view.restore(spoilt, size), flat, atol=1e-5)


def test_corners_are_filled_by_reflection():
    ramp = torch.arange(32.0).expand(1, 1, 32, 32)
    seen = rotate(20.0).augment(ramp)
    assert seen.shape[-2:] == (42, 42)
    assert seen.min() >= 0
    assert seen.max() <= 31
    assert not torch.isclose(seen[0, 0, [0, 0, -1, -1], [0, -1, 0, -1]], torch.zeros(4)).any()


@pytest.mark.parametrize("degrees", [3.0, -10.0, 45.0])
def test_restore_undoes_augment_on_smooth_maps(degrees):
    maps = disc((91, 77), (40, 41), 25, 3.0)
    view = rotate(degrees)
    back = view.restore(view.augment(maps), (91, 77))
    assert (back - maps).abs().max() < 0.02
    assert float(maps.min()) - 1e-6 <= float(back.min())
    assert float(back.max()) <= float(maps.max()) + 1e-6


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_places_are_as_exact_in_any_precision(dtype):
    size = (1, 1500)
    ramp = (torch.arange(1500.0) / 1500).expand(1, 1, *size)
    view = rotate(0.1)
    back = view.restore(view.augment(ramp.to(dtype)), size)
    assert back.dtype is dtype
    assert (back.float() - ramp).abs().max() < 0.01


def test_images_of_a_batch_stay_apart_and_unchanged():
    images = torch.rand(3, 2, 20, 30)
    before = images.clone()
    together = rotate(7.0).augment(images)
    assert torch.equal(images, before)
    for place in range(3):
        alone = rotate(7.0).augment(images[place : place + 1])
        assert torch.equal(together[place], alone[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "required"),
        ({"degrees": 0}, "0 is the image itself, which is averaged anyway; expected an angle"),
        ({"degrees": 46}, "less than or equal to 45"),
        ({"degrees": -45.5}, "greater than or equal to -45"),
        ({"degrees": float("nan")}, "greater than or equal|less than or equal|finite"),
    ],
)
def test_the_angle_is_small_and_not_nothing(options, said):
    with pytest.raises(ValidationError, match=said):
        RotateOptions(**options)
