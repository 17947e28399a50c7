from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from handbone_models.storage import build_without_storage
from handbone_models.trial import coarsest_stride, drop_idle, find_needs, takes


class Pyramid(nn.Module):
    """Down by a stride and up again, with parts that lie idle."""

    def __init__(self, stride=8, *, pool=0, multiple=1):
        super().__init__()
        self.stride, self.pool, self.multiple = stride, pool, multiple
        self.down = nn.Conv2d(1, 4, stride, stride)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Conv2d(4, 2, 1)
        self.unused = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
        self.stages = nn.ModuleList([nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)])
        self.scale = nn.Parameter(torch.ones(1))
        self.watched = nn.Linear(1, 1)

    def forward(self, images):
        if any(side % self.multiple for side in images.shape[-2:]):
            raise ZeroDivisionError
        maps = self.stages[0](self.down(images))
        if self.pool:
            maps = functional.adaptive_avg_pool2d(maps, self.pool)
        maps = self.norm(maps)
        self.watched(torch.zeros(1, 1, device=images.device))
        return functional.interpolate(self.head(maps), scale_factor=self.stride)


class Pooled(Pyramid):
    """As PSPNet's coarsest pooling, normalised over the batch."""

    def forward(self, images):
        pooled = self.norm(functional.adaptive_avg_pool2d(self.down(images), 1))
        return functional.interpolate(self.head(pooled), images.shape[-2:])


def needs(model, *divisors):
    return find_needs(model, 1, divisors or (8,))


def test_a_single_pixel_cannot_be_normalised_so_the_least_side_holds_four():
    found = needs(Pyramid())
    assert (found.divisor, found.minimum, found.minimum_batch) == (8, 16, 1)


def test_what_is_pooled_to_one_pixel_takes_two_images():
    found = needs(Pooled())
    assert (found.divisor, found.minimum, found.minimum_batch) == (8, 8, 2)


def test_the_first_divisor_that_serves_is_taken():
    assert needs(Pyramid(multiple=24), 8, 16, 48, 72).divisor == 48
    assert needs(Pyramid(multiple=24), 8, 16) is None


def test_a_network_that_needs_many_pixels_has_a_minimum():
    class Coarse(Pyramid):
        def forward(self, images):
            functional.max_pool2d(self.down(images), 4)
            return super().forward(images)

    assert needs(Coarse()).minimum == 32


def test_maps_of_another_size_than_the_images_are_no_answer():
    assert needs(nn.Conv2d(1, 2, 2, 2), 2) is None


@pytest.mark.parametrize("construct", [Pyramid, lambda: build_without_storage(Pyramid)])
def test_what_no_gradient_reaches_is_found(construct):
    found = needs(construct())
    assert found.idle_modules == ("unused", "stages.1")
    assert found.idle_parameters == ("scale", "watched.weight", "watched.bias")


def test_idle_parts_go_and_all_that_still_learns_gets_a_gradient():
    model = Pyramid()
    found = needs(model)
    drop_idle(model, found)
    model(torch.rand(2, 1, 16, 16)).sum().backward()
    learning = {name: each.grad for name, each in model.named_parameters() if each.requires_grad}
    assert [name for name, gradient in learning.items() if gradient is None] == []
    assert not any(name.startswith("unused") for name in model.state_dict())
    assert not model.scale.requires_grad


def test_takes_says_whether_an_image_of_a_side_goes_through():
    assert takes(Pyramid(multiple=24), 1, 24)
    assert not takes(Pyramid(multiple=24), 1, 32)


def test_the_stride_is_that_of_the_last_map():
    class Encoder(Pyramid):
        def forward(self, images):
            if images.shape[-1] == 8:
                raise IndexError
            return [images, self.down(images)]

    assert coarsest_stride(Encoder(), 1, 32) == 8
    assert coarsest_stride(Encoder(), 1, 8) is None
