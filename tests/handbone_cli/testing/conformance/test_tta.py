from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from handbone_cli.testing import check_tta


class View:
    """The image itself, to be spoilt."""

    def augment(self, images):
        return images.clone()

    def restore(self, maps, size):
        return maps


class Shifted(View):
    def augment(self, images):
        return images.roll(1, -1)


class Transposed(View):
    """Right for squares alone."""

    mirrored = True

    def augment(self, images):
        return images.transpose(-2, -1)


class Brighter(View):
    """Grey values change, places do not."""

    def augment(self, images):
        return 1 - images**2


class Scaled(View):
    def augment(self, images):
        return functional.interpolate(images, scale_factor=0.7, mode="bilinear")

    def restore(self, maps, size):
        return functional.interpolate(maps, size=size, mode="bilinear")


class ScaledAndFlipped(Scaled):
    def restore(self, maps, size):
        return super().restore(maps, size).flip(-1)


class Changing(View):
    def augment(self, images):
        images[..., 0, 0] = 0.0
        return images.clone()


class ChangingMaps(View):
    def restore(self, maps, size):
        return maps.mul_(0.5) * 2


class Mixing(Brighter):
    """An image depends on the others of its batch."""

    def augment(self, images):
        return images - images.mean()


class Half(View):
    def augment(self, images):
        return images.half()


class Single(View):
    def augment(self, images):
        return images[:1]


class Lost(View):
    def augment(self, images):
        return torch.zeros_like(images)


class Named(View):
    """Takes as many maps as the image has channels."""

    def restore(self, maps, size):
        return maps[:, :3]


class Mirror(View):
    mirrored = True
    exact = True

    def augment(self, images):
        return images.flip(-1)

    def restore(self, maps, size):
        return maps.flip(-1)


class Silent(Mirror):
    mirrored = None


class Denying(Mirror):
    mirrored = False


class Boasting(View):
    mirrored = True


class Turned(Mirror):
    """Half a turn mirrors twice."""

    mirrored = False

    def augment(self, images):
        return images.flip((-2, -1))

    def restore(self, maps, size):
        return maps.flip((-2, -1))


class Claiming(Scaled):
    exact = True


class Admitting(Shifted):
    exact = False


class Cut(View):
    """Moved by two pixels, with nothing in their place."""

    def augment(self, images):
        return functional.pad(images[..., 2:], (0, 2))

    def restore(self, maps, size):
        return functional.pad(maps[..., :-2], (2, 0))


@pytest.mark.parametrize(
    ("view", "words"),
    [
        (Shifted, "maps do not come back as they went"),
        (Transposed, r"expected the shape \(2, 5, 48, 80\), got \(2, 5, 80, 48\)"),
        (ScaledAndFlipped, r"column 24 comes back in row \d+, column 55"),
        (Changing, "the view changed the image it was given"),
        (ChangingMaps, "restore changed the maps it was given"),
        (Mixing, "comes out otherwise beside another than by itself"),
        (Half, "a view of torch.float16"),
        (Single, r"became a view of \(1, 1, 48, 80\)"),
        (Lost, "nothing of the image is left in the view"),
        (Silent, "it mirrors and does not say so: set its attribute mirrored to True"),
        (Denying, "it says mirrored = False: set its attribute mirrored to True"),
        (Boasting, "it says mirrored = True: set its attribute mirrored to False"),
        (Claiming, "maps do not come back as they went"),
        (Cut, r"\(48, 80\): 96 pixels of the image are lost from a view full of ones"),
        (Named, r"expected the shape \(2, 5, 48, 80\), got \(2, 3, 48, 80\)"),
    ],
)
def test_what_is_wrong_is_said(view, words):
    with pytest.raises(AssertionError, match=words):
        check_tta(view())


@pytest.mark.parametrize("view", [View, Brighter, Scaled, Mirror, Turned, Admitting])
def test_what_is_right_passes(view):
    check_tta(view())


def test_exact_is_as_it_is_said():
    with pytest.raises(AssertionError, match="maps do not come back as they went"):
        check_tta(Scaled(), exact=True)
    check_tta(Shifted(), exact=False)
    check_tta(View(), sizes=((6, 9), (7, 4)))


def test_a_set_is_tried_view_by_view():
    check_tta([View(), Mirror(), Turned()])
    with pytest.raises(AssertionError, match=r"^view 2 of 3: maps do not|^view 2 of 3: \(48, 80\)"):
        check_tta([View(), Shifted(), Mirror()])
